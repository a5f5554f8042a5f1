"""What customers, packers and operators read: e-mails, packing slips and the order's page."""
