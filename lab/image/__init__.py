"""What machines are made of: a root file system, a layer with snapd's groundwork, a layer with build tools.

Layers are lists of directories for overlayfs, the uppermost first.
"""
