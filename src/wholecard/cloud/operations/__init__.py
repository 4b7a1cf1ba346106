"""One file a kind of operation on a cloud; `registry` lists them."""
