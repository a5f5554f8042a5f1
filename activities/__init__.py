"""Side effects, one class per noun, with everything they need handed to them."""
