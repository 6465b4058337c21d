package data_test

import (
	"fmt"
	"testing"
)

// TestNumbersOfNames numbers images without ids by the names of their files, if those are
// numbers, and the others from 1 on.
func TestNumbersOfNames(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{"val/000005", "val/10", "val/9"}, "[5 10 9]"},
		{[]string{"val/a", "val/b"}, "[1 2]"},
		{[]string{"val/2", "val/a", "val/b"}, "[2 3 4]"},
		{[]string{"val/05", "val/5"}, "[1 2]"}, // which of them is 5 is not known
		{[]string{"train/7", "val/7"}, "[7 7]"},
		{[]string{"val/0", "val/99999999999999999999", "val/-3"}, "[1 0 2]"},
	} {
		set := files{"data.yaml": "train: images/train\nval: images/val\nnames: [a]\n"}
		for _, name := range c.names {
			set["images/"+name+".png"], set["labels/"+name+".txt"] = picture(9, 9), "0 .5 .5 .5 .5\n"
		}
		s := open(t, set.folder(t))
		var got []int64
		for _, img := range s.Images {
			got = append(got, img.ID)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%v: ids %v, want %s", c.names, got, c.want)
		}
	}
}
