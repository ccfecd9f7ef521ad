"""What a policy sees and does that corrects all layers of a cluster's manager."""
