"""The client ids of the messages: our order's and another one's."""

OURS = "gfuzz0000000000001"
OTHER = "gother000000000002"
