package featurize

import (
	"fmt"
	"io"
	"iter"

	"github.com/robust-transfer/rtx/featurize/seen"
)

// ImagesFile is the usual name of a file that WriteImages writes.
const ImagesFile = "images.jsonl"

// UsedImage is an image and what it was used for.
type UsedImage struct {
	Split  string // "train", "val" or "test"
	Path   string // in its source
	Class  string
	SHA256 seen.Sum // of the file; zero if it is not known
}

// WriteImages writes a line of JSON for each image, with the keys split, path and class as
// in a manifest, and sha256 in hexadecimal digits, as sha256sum prints it, or null.
func WriteImages(w io.Writer, images iter.Seq[UsedImage]) error {
	for m := range images {
		sum := "null"
		if m.SHA256 != (seen.Sum{}) {
			sum = fmt.Sprintf(`"%x"`, m.SHA256)
		}
		if _, err := fmt.Fprintf(w, `{"split":%s,"path":%s,"class":%s,"sha256":%s}`+"\n", orNull(m.Split), quoteJSON(m.Path), orNull(m.Class), sum); err != nil {
			return err
		}
	}
	return nil
}
