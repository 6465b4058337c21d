package cli

// SetFreeMemory makes the machine one with so many free bytes, until what it
// returns is called.
func SetFreeMemory(n int64) (reset func()) {
	old := freeMemory
	freeMemory = func() int64 { return n }
	return func() { freeMemory = old }
}
