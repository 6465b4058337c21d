package torch

import "bytes"

// RunPickle runs a pickle that is not part of a checkpoint.
func RunPickle(data []byte) (any, error) {
	m := &machine{src: newSource(bytes.NewReader(data)), classes: map[Class]int{}, load: func([]any) (any, error) {
		return &storage{blob: memory("12345678"), dtype: storageTypes["ByteStorage"], n: 8}, nil
	}}
	return m.run()
}
