s/^		Name:  f\.Name,$/		Name:  "." + f.Name,/
