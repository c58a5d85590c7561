"""Files that earlier versions wrote are read, tagged on and queried."""
