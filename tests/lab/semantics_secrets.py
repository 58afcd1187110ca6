"""Juju's semantics of secrets that charms depend on."""

from __future__ import annotations

from tests.lab.semantic import Semantic

SEMANTICS = (
    Semantic(
        "A secret is read with a grant only, and the grant ends with its relation.",
        "secrets.py",
        "return any(grant is not None and _in_force(store, grant) for grant in grants)",
        "return any(grant is not None for grant in grants)",
        ("test_secrets_rules.py::test_a_grant_ends_with_its_relation",),
    ),
    Semantic(
        "Who has read a secret stays with that revision until it refreshes.",
        "secrets.py",
        "tracked = found.latest_revision if consumer is None or refresh else consumer.revision",
        "tracked = found.latest_revision",
        ("test_secrets_rules.py::test_a_reader_stays_with_its_revision",),
    ),
    Semantic(
        "The same content makes no new revision of a secret.",
        "secrets.py",
        "if changes.content and changes.content != latest.content:",
        "if changes.content:",
        ("test_secrets_rules.py::test_the_same_content_is_no_new_revision",),
    ),
    Semantic(
        "`secret-changed` comes once for a revision, to those who track an older one.",
        "resolver.py",
        "if at.local.consumed_secrets.get(secret.id) != secret.revision:",
        "if True:",
        ("test_engine_resolver.py::test_secrets_are_told_once",),
    ),
    Semantic(
        "A unit manages its own secrets, and the leader those of the application.",
        "secrets.py",
        "return secret.owner == tags.unit(unit) or (leader and secret.owner == tags.application(application))",
        "return secret.owner in (tags.unit(unit), tags.application(application))",
        ("test_secrets_rules.py::test_who_may",),
    ),
    Semantic(
        "Rotation, expiry and obsolete revisions are told to who manages the secret.",
        "secrets_events.py",
        "return (tags.unit(unit), application) if leader else (tags.unit(unit),)",
        "return (tags.unit(unit), application)",
        (
            "test_secrets_events.py::test_rotate_comes_when_it_is_due_and_to_the_owner_only",
            "test_secrets_events.py::test_expired_repeats_until_the_revision_is_removed",
            "test_secrets_events.py::test_obsolete_revisions_are_the_owners_to_remove",
        ),
    ),
    Semantic(
        "An owner's label is taken for its application and its application's units too.",
        "secrets.py",
        "return tag == owner or kind != other_kind",
        "return tag == owner",
        ("test_secrets_rules.py::test_an_owners_labels_are_unique",),
    ),
    Semantic(
        "All units of an application know its secrets by the owner's label.",
        "secrets.py",
        "        if secret.owner in owners:",
        "        if secret.owner == tags.unit(unit):",
        ("test_secrets_hooks.py::test_owner_labels_work_for_all_units_of_the_application",),
    ),
    Semantic(
        "A reader's label is its own.",
        "secrets.py",
        "model=model, consumer=tags.unit(unit), label=label):",
        "model=model, label=label):",
        ("test_secrets_rules.py::test_a_readers_label_is_its_own",),
    ),
    Semantic(
        "`secret-rotate` comes again after 5 min if it has made no new revision.",
        "secrets_events.py",
        "if secret.latest_revision == revision_before and planned is not None:",
        "if False:",
        ("test_secrets_events.py::test_rotate_comes_again_after_the_interval_or_sooner_without_a_new_revision",),
    ),
    Semantic(
        "A shorter rotation policy counts from now, a longer one from the rotation that is planned.",
        "secrets_rotation.py",
        "POLICIES.index(policy) < POLICIES.index(old_policy):",
        "policy != old_policy:",
        ("test_secrets_rules.py::test_a_shorter_policy_counts_from_now_a_longer_one_from_the_next_rotation",),
    ),
    Semantic(
        "`secret-expired` comes again every 5 min until the revision is removed.",
        "secrets_events.py",
        "if retry is None or retry.due <= now:",
        "if retry is None:",
        ("test_secrets_events.py::test_expired_repeats_until_the_revision_is_removed",),
    ),
    Semantic(
        "A new revision does not inherit when the one before it expires.",
        "secrets.py",
        "changes.content, now, expires=changes.expires))",
        "changes.content, now, expires=changes.expires or latest.expires))",
        ("test_secrets_rules.py::test_expiry_is_the_latest_revisions",),
    ),
    Semantic(
        "A revision is obsolete when it is not the latest and nobody tracks it.",
        "secrets.py",
        "{described.latest_revision, *(consumer.revision for consumer in consumers)}",
        "{described.latest_revision}",
        (
            "test_secrets_rules.py::test_a_revision_is_obsolete_once_nobody_tracks_it",
            "test_secrets_events.py::test_obsolete_revisions_are_the_owners_to_remove",
        ),
    ),
    Semantic(
        "`secret-remove` comes once for an obsolete revision.",
        "resolver.py",
        "if secret.revision not in at.local.obsolete_secrets.get(secret.id, []):",
        "if True:",
        ("test_engine_secrets.py::test_an_obsolete_revision_is_told_to_its_owner_once",),
    ),
    Semantic(
        "`secret-remove --revision` leaves the others; the secret goes with its last one.",
        "secrets.py",
        "if revisions and left:",
        "if revisions:",
        ("test_secrets_rules.py::test_removing_revisions_and_the_secret",),
    ),
    Semantic(
        "A user secret with auto-prune loses obsolete revisions at once.",
        "secrets.py",
        "if obsolete and described.auto_prune:",
        "if False:",
        ("test_secrets_rules.py::test_user_secrets_may_prune_themselves",),
    ),
)
