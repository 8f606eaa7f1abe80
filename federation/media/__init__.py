"""How content becomes signals; the content itself is never kept."""
