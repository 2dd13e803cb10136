package wire

import "strings"

// previewMark parts a class from the preview in the class of a key.
const previewMark = "~"

// PreviewClass gives the class under which a preview's objects are pinned and
// stored: they are other objects than those of the same name outside, or in
// another preview. No preview gives the class itself.
func PreviewClass(class, preview string) string {
	if preview == "" {
		return class
	}
	return class + previewMark + preview
}

// SplitClass undoes PreviewClass.
func SplitClass(class string) (base, preview string) {
	base, preview, _ = strings.Cut(class, previewMark)
	return base, preview
}
