package seen_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize/seen"
)

// sums are those of n files that differ from those of other kinds.
func sums(kind, n int) (all []seen.Sum) {
	for i := range n {
		all = append(all, seen.SumOf(binary.BigEndian.AppendUint32([]byte{byte(kind)}, uint32(i))))
	}
	return all
}

// A set holds all its images, as it is and when it was read back, and takes the bits that
// the package says; of others it holds almost none.
func TestSet(t *testing.T) {
	others := sums(1, 100000)
	for _, n := range []int{0, 1, 2, 500, 50000} {
		in := sums(0, n)
		s := seen.NewSet(append(in, in[:n/2]...)) // some twice
		text, err := s.MarshalText()
		var back seen.Set
		if err == nil {
			err = back.UnmarshalText(text)
		}
		if err != nil || s.Count() != n || back.Count() != n {
			t.Fatalf("%d images: %d, %d read back, %v", n, s.Count(), back.Count(), err)
		}
		for _, x := range in {
			if !s.Contains(x) || !back.Contains(x) {
				t.Fatalf("%d images: one is not held", n)
			}
		}
		wrong := 0
		for _, x := range others {
			if back.Contains(x) {
				wrong++
			}
		}
		if wrong > 1 { // with probability 2e-5
			t.Errorf("%d images: %d of %d others are held", n, wrong, len(others))
		}
		if most := 25.6*float64(n)/6 + 16; float64(len(text)) > most {
			t.Errorf("%d images: %d bytes, expected at most %.0f", n, len(text), most)
		}
		t.Logf("%d images: %d bytes", n, len(text))
	}
}

// The code is what the package describes: three bytes of a remainder behind a quotient in
// unary.
func TestSetCode(t *testing.T) {
	// N is 1: h = 0x8000000000000000 of 2^64 is the number 2^23.
	text, err := seen.NewSet([]seen.Sum{{0: 0x80}}).MarshalText()
	if want := "AUAAAAA="; err != nil || string(text) != want { // 01, then 0 and 100...0 in 25 bits: 40 00 00 00
		t.Errorf("%s, want %s, %v", text, want, err)
	}
	// N is 2: 2^24 = 1 x 2^24 + 0, twice the number of h = 2^63; and h = 0 is 0.
	text, err = seen.NewSet([]seen.Sum{{0: 0x80}, {}}).MarshalText()
	if want := "AgAAAEAAAAA="; err != nil || string(text) != want { // 02, then 25 zeros, 10 and 24 zeros
		t.Errorf("%s, want %s, %v", text, want, err)
	}
}

func TestRecord(t *testing.T) {
	a, b, c, other := sums(0, 10), sums(1, 10), sums(2, 10), sums(3, 10)
	r := seen.NewRecord(a, append(b, a[0]))
	r.Add(seen.NewRecord(c, nil))
	r.Add(seen.NewRecord(c, nil))
	back, err := seen.Parse(r.String())
	if err != nil || back.String() != r.String() || len(back.Trained) != 2 || len(back.Chosen) != 1 {
		t.Fatalf("%s, %v", r, err)
	}
	for want, x := range map[seen.Use][]seen.Sum{seen.Trained: {a[0], a[9], c[5]}, seen.Chosen: {b[0], b[9]}, seen.New: other} {
		for _, x := range x {
			if got := back.Use(x); got != want {
				t.Errorf("use %v, want %v", got, want)
			}
		}
	}
	if none, err := seen.Parse(""); err != nil || !none.Empty() || none.Use(a[0]) != seen.New {
		t.Errorf("nothing known: %v, %v", none, err)
	}
	for _, bad := range []string{"{", `{"version":2}`, `{"version":1,"trained":[null]}`, `{"version":1,"trained":["x"]}`, `{"version":1,"trained":["////////"]}`, `{"version":1,"chosen":["Af////8="]}`} {
		if _, err := seen.Parse(bad); err == nil || !strings.HasPrefix(err.Error(), "seen: ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// Whatever a file says, reading it ends with an error or with a set.
func FuzzSet(f *testing.F) {
	for _, n := range []int{0, 1, 100} {
		text, _ := seen.NewSet(sums(0, n)).MarshalText()
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s seen.Set
		if s.UnmarshalText([]byte(text)) == nil {
			if _, err := s.MarshalText(); err != nil {
				t.Error(err)
			}
		}
	})
}

func ExampleRecord() {
	cat, dog, fox := seen.SumOf([]byte("cat.jpg")), seen.SumOf([]byte("dog.jpg")), seen.SumOf([]byte("fox.jpg"))
	r := seen.NewRecord([]seen.Sum{cat}, []seen.Sum{dog})
	fmt.Println(r.Use(cat) == seen.Trained, r.Use(dog) == seen.Chosen, r.Use(fox) == seen.New)
	// Output: true true true
}
