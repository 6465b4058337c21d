package featurize

// Sample is one image of a source.
type Sample struct {
	Path  string // unique in the source, slash-separated, as the manifest shows it
	Class string // "" without a label
	Label int    // index into the source's classes, -1 without a label
	Split string // "train", "val", "test", or "" where the source has no splits

	Size    int64 // bytes
	ModTime int64 // nanoseconds since 1970

	// Read appends the encoded image to dst and returns it.
	Read func(dst []byte) ([]byte, error)
}

// Listing is what a source holds, in the order in which it is extracted.
type Listing struct {
	Samples []Sample
	Classes []string // sorted bytewise; empty where nothing is labelled
	Notes   []string // what was passed over, a sentence each
}
