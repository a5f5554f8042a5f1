#!/bin/sh
# Makes the namespace of orders with its search attributes. Running it again adds what is missing.
# TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE say where; the temporal program reads them itself.
set -eu

tries=60
until temporal operator cluster health >/dev/null 2>&1; do
    tries=$((tries - 1))
    if [ "$tries" -eq 0 ]; then
        echo "Temporal at $TEMPORAL_ADDRESS does not answer." >&2
        exit 1
    fi
    sleep 2
done

temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "${RETENTION:-30d}"

# A new namespace reaches the server's cache after some seconds.
tries=30
until known="$(temporal operator search-attribute list 2>/dev/null)"; do
    tries=$((tries - 1))
    if [ "$tries" -eq 0 ]; then
        echo "Namespace $TEMPORAL_NAMESPACE cannot be read." >&2
        exit 1
    fi
    sleep 1
done

attribute() {
    echo "$known" | grep -qw "$1" || temporal operator search-attribute create --name "$1" --type "$2"
}

attribute OrderStatus Keyword
attribute Channel Keyword
attribute Warehouse KeywordList
attribute Carrier Keyword
attribute NeedsAttention Bool
attribute PromisedBy Datetime
