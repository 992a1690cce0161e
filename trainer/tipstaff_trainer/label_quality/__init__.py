"""How good labels are, and which of them a person should see."""
