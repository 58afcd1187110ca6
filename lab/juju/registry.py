"""Which module holds which command. A run imports the one module it needs."""

from __future__ import annotations

import importlib

from lab.juju import command

MODULES: dict[str, tuple[str, ...]] = {
    "models": ("add-model", "models", "show-model", "destroy-model", "switch"),
    "model_settings": ("model-config", "model-constraints", "set-model-constraints"),
    "client": ("version", "whoami", "controllers", "show-controller", "clouds", "credentials"),
    "deploy": ("deploy",),
    "refresh": ("refresh",),
    "applications": (
        "config",
        "trust",
        "expose",
        "unexpose",
        "remove-application",
        "show-application",
        "resolved",
    ),
    "units": ("add-unit", "remove-unit", "show-unit"),
    "relations": ("integrate", "remove-relation"),
    "status": ("status",),
    "logs": ("debug-log", "show-status-log"),
    "actions": ("run", "actions", "show-action"),
    "execute": ("exec",),
    "operations": ("operations", "show-operation", "show-task", "cancel-task"),
    "secrets": ("secrets", "show-secret", "grant-secret", "revoke-secret", "remove-secret"),
    "secret_content": ("add-secret", "update-secret"),
    "storage": ("storage", "show-storage", "storage-pools"),
    "storage_changes": ("add-storage", "attach-storage", "detach-storage", "remove-storage"),
    "resources": ("resources", "attach-resource"),
    "machines": ("machines", "show-machine", "add-machine", "remove-machine"),
    "remote": ("ssh", "scp"),
    "help": ("help",),
}

ALIASES: dict[str, str] = {
    "attach": "attach-resource",
    "list-actions": "actions",
    "list-clouds": "clouds",
    "list-controllers": "controllers",
    "list-credentials": "credentials",
    "list-machines": "machines",
    "list-models": "models",
    "list-operations": "operations",
    "list-resources": "resources",
    "list-secrets": "secrets",
    "list-storage": "storage",
    "list-storage-pools": "storage-pools",
    "relate": "integrate",
    "resolve": "resolved",
    "show-status": "status",
}

UNSUPPORTED = frozenset(
    # One text rather than a hundred literals: a list that people read.
    """
    add-cloud add-credential add-k8s add-secret-backend add-space add-ssh-key add-user autoload-credentials bind
    bootstrap change-user-password charm-resources constraints consume controller-config create-backup
    create-storage-pool dashboard debug-code debug-hooks default-credential default-region destroy-controller
    diff-bundle disable-command disable-user disabled-commands documentation download download-backup enable-command
    enable-destroy-controller enable-ha enable-user export-bundle find find-offers firewall-rules grant grant-cloud
    help-action-commands help-hook-commands import-filesystem import-ssh-key info kill-controller login logout migrate
    model-defaults model-secret-backend move-to-space offer offers regions register reload-spaces remove-cloud
    remove-credential remove-k8s remove-offer remove-saas remove-secret-backend remove-space remove-ssh-key
    remove-storage-pool remove-user rename-space resume-relation retry-provisioning revoke revoke-cloud
    scale-application secret-backends set-application-base set-constraints set-credential set-firewall-rule show-cloud
    show-credential show-offer show-secret-backend show-space show-user spaces ssh-keys subnets suspend-relation
    sync-agent-binary unregister update-cloud update-credential update-k8s update-public-clouds update-secret-backend
    update-storage-pool upgrade-controller upgrade-machine upgrade-model users wait-for
    """.split()  # noqa: SIM905
)
"""Commands of Juju that the lab knows by name only."""


def names() -> list[str]:
    """The names of all commands, aliases not among them."""
    return sorted(name for listed in MODULES.values() for name in listed)


def find(name: str) -> command.Command | None:
    """The command of this name or alias, or None."""
    name = ALIASES.get(name, name)
    for module, listed in MODULES.items():
        if name in listed:
            importlib.import_module(f"lab.juju.commands.{module}")
            return command.COMMANDS[name]
    return None


def nearest(name: str) -> str:
    """The command whose name is most like this one."""
    import difflib

    known = [*names(), *ALIASES]
    return max(known, key=lambda candidate: difflib.SequenceMatcher(None, name, candidate).ratio())
