package manifest

import "github.com/stratahq/strata/internal/diag"

// Document decodes a document that stands for itself, outside of a repository's own
// kinds, as strictly as those: v is a pointer to a type with the tags of package schema.
// Whatever is wrong is reported with its place; ok says that nothing is.
func Document(file string, src []byte, v any) (list diag.List, ok bool) {
	if len(src) > MaxFileSize {
		d := list.Errorf(RuleFileTooLarge, file, nil, "the file has %d bytes; at most %d are read", len(src), MaxFileSize)
		d.Remedy = "Split it, or keep data elsewhere."
		return list, false
	}
	ok = decode(file, src, v, &list)
	Locate(list, func(string) []byte { return src })
	return list, ok
}
