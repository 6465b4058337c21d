package cli

import (
	"context"
	"io"

	"github.com/robust-transfer/rtx/detect"
)

// SetFreeMemory makes rtx believe that so many bytes of memory are free, until reset
// is called.
func SetFreeMemory(n int64) (reset func()) {
	old := freeMemory
	freeMemory = func() int64 { return n }
	return func() { freeMemory = old }
}

// SetDetector makes every detector d, without a library, until reset is called.
func SetDetector(d detect.Detector) (reset func()) {
	old := openDetect
	openDetect = func(context.Context, *detecting, detectorConfig) (detect.Detector, io.Closer, error) {
		return d, nil, nil
	}
	return func() { openDetect = old }
}
