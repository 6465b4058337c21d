package featurize

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"regexp"
	"strconv"
	"strings"
)

// Shard is one of Count shares of a listing.
type Shard struct {
	Index int `json:"index"` // from 0 on
	Count int `json:"count"`
}

// ParseShard reads i/n.
func ParseShard(text string) (Shard, error) {
	i, n, _ := strings.Cut(text, "/")
	index, err1 := strconv.Atoi(i)
	count, err2 := strconv.Atoi(n)
	if err1 != nil || err2 != nil || index < 0 || index >= count || count > 1<<20 {
		return Shard{}, fmt.Errorf("%q, expected i/n with 0 <= i < n", text)
	}
	return Shard{index, count}, nil
}

// Dir is the name of the folder of a shard, below that of all.
func (s Shard) Dir() string { return fmt.Sprintf("shard-%d-of-%d", s.Index, s.Count) }

var shardDir = regexp.MustCompile(`^shard-\d+-of-\d+$`)

func isShardDir(name string) bool { return shardDir.MatchString(name) }

// has tells by its path whether a sample is in the shard, so that images that
// are added or removed leave the others where they are.
func (s Shard) has(x Sample) bool {
	return int(crcOf([]byte(x.Path))%uint32(s.Count)) == s.Index
}

// Identity tells listings apart.
type Identity struct {
	Samples int    `json:"samples"`
	SHA256  string `json:"sha256"` // of the paths, labels and sizes
}

// Identity is that of the whole listing, also for a shard of it. It is known
// when a stream has ended.
func (l *Listing) Identity() Identity {
	if l.shard != nil {
		return l.whole
	}
	h := sha256.New()
	for _, s := range l.Samples {
		fmt.Fprintf(h, "%q %q %q %q %d\n", s.Path, s.Class, s.Split, s.Group, s.Size)
	}
	return Identity{len(l.Samples), hex.EncodeToString(h.Sum(nil))}
}

// Take leaves only the samples of a shard. Labels stay those of the whole.
func (l *Listing) Take(s Shard) {
	if l.Stream == nil {
		l.take(s)
		return
	}
	stream := l.Stream
	l.Stream = func(yield func(Sample, error) bool) {
		for x, err := range only(stream, s) {
			if !yield(x, err) {
				return
			}
		}
		l.take(s)
	}
}

func only(stream iter.Seq2[Sample, error], s Shard) iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		for x, err := range stream {
			if (err != nil || s.has(x)) && !yield(x, err) {
				return
			}
		}
	}
}

func (l *Listing) take(s Shard) {
	l.whole = l.Identity()
	l.shard = &s
	kept := l.Samples[:0]
	for i, x := range l.Samples {
		x.index = i
		if s.has(x) {
			kept = append(kept, x)
		}
	}
	l.Samples = kept
}

// Shard is the one that was taken, nil for the whole.
func (l *Listing) Shard() *Shard { return l.shard }
