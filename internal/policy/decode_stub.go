package policy

import "github.com/stratahq/strata/internal/diag"

func DecodeObjects(data []byte, file string) ([]Object, diag.List) { return nil, nil }
