"""Records in PostgreSQL: tables, queries, migrations. SQL is written here and nowhere else."""
