"""A stand-in for Stripe's API: payment intents, charges, refunds, disputes, events and webhook endpoints."""
