#!/bin/sh
# Makes Temporal's two databases and brings them to this version's schema. Running it again changes nothing.
set -eu
SQL_PASSWORD="$(cat /run/secrets/temporal_database_password)"
export SQL_PASSWORD

for pair in temporal:temporal temporal_visibility:visibility; do
    database="${pair%%:*}" schema="${pair##*:}"
    tool="temporal-sql-tool --plugin postgres12 --ep $SQL_HOST -p 5432 -u $SQL_USER --db $database"
    $tool create
    $tool setup-schema -v 0.0
    $tool update-schema -d "/etc/temporal/schema/postgresql/v12/$schema/versioned"
done
