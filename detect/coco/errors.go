package coco

import (
	"errors"
	"fmt"
)

// What an InputError wraps.
var (
	ErrDuplicateID  = errors.New("the id is not unique")
	ErrUnknownImage = errors.New("the image is not in the data set")
	ErrNotFinite    = errors.New("not a finite number")
	ErrNoMask       = errors.New("no mask, and masks are to be judged")
	ErrMaskSize     = errors.New("the mask is not of the image's size")
	ErrImageSize    = errors.New("the size of the image is not known")
)

// InputError says which of the values given cannot be evaluated.
type InputError struct {
	Of     string // "image", "category", "annotation" or "detection"
	Index  int    // among those of its kind
	Detail string // what was found
	Err    error  // one of the Err values of this package
}

func (e *InputError) Error() string {
	return fmt.Sprintf("coco: %s number %d (from 0), %s: %v", e.Of, e.Index, e.Detail, e.Err)
}

func (e *InputError) Unwrap() error { return e.Err }
