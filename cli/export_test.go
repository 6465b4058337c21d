package cli

// SetFreeMemory makes rtx believe that so many bytes of memory are free, until reset
// is called.
func SetFreeMemory(n int64) (reset func()) {
	old := freeMemory
	freeMemory = func() int64 { return n }
	return func() { freeMemory = old }
}
