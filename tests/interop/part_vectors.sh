# SPDX-License-Identifier: MIT
# The vectors of the protocol, recomputed by another implementation.
root=$(cd "$(dirname "$0")/../.." && pwd)
cp "$root"/docs/clients/*.mjs .
exec node vectors.mjs "$root/docs/protocol-vectors.json"
