"""Where tables rest: partition files, the catalog over them, and their way in and out of assets."""
