#!/bin/sh
# Makes the role and the database of the broker, when the volume of Postgres is new (docker-compose.yml).
set -eu
psql --set ON_ERROR_STOP=1 --set password="$GRANTRY_PASSWORD" --username postgres --dbname postgres <<'SQL'
create role grantry login password :'password';
create database grantry owner grantry;
SQL
