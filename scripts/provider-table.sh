#!/usr/bin/env bash
# Prints what the suite of the DNS providers' adapters proved: a line a case, a column an adapter.
#
#   scripts/provider-table.sh FOLDER      (target/tmp/providers; each adapter's test writes a file there)
#
# A dash: the provider has nothing that the case is about. Says nothing when the tests that were run were others.
set -euo pipefail

folder="${1:?usage: scripts/provider-table.sh FOLDER}"
compgen -G "$folder/*.tsv" >/dev/null || exit 0

awk -F'\t' '
    FNR == 1 {
        key = FILENAME
        sub(/.*\//, "", key)
        sub(/\.tsv$/, "", key)
        keys[++columns] = key
    }
    !($2 in seen) { seen[$2] = 1; cases[++rows] = $2 }
    { result[$2, key] = $1; failed += $1 == "FAILED" }
    END {
        printf "\nDNS provider adapters (%d cases, %d adapters, %d failures)\n\n", rows, columns, failed
        printf "%-66s", ""
        for (c = 1; c <= columns; c++) printf " %-6.6s", keys[c]
        print ""
        for (r = 1; r <= rows; r++) {
            line = cases[r]
            gsub(/_/, " ", line)
            printf "%-66s", line
            for (c = 1; c <= columns; c++) printf " %-6s", ((cases[r], keys[c]) in result) ? result[cases[r], keys[c]] : "-"
            print ""
        }
    }' "$folder"/*.tsv
