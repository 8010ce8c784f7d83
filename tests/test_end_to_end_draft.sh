#!/bin/bash
# SPDX-License-Identifier: MIT
# The main job again, in the draft dialect and with published ephemeral keys.
DIALECT=draft exec "$(dirname "$0")/test_end_to_end.sh" "$@"
