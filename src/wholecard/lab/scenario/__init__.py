"""What is done in a lab: up, demo, proof, restart."""
