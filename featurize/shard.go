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

// Shard names a share of a listing, so that several machines can compute the features
// of one. Samples are assigned to shards by a hash of their paths.
type Shard struct {
	Index int `json:"index"` // 0 to Count-1
	Count int `json:"count"`
}

// ParseShard parses "i/n", shard i of n, counted from 0.
func ParseShard(text string) (Shard, error) {
	i, n, _ := strings.Cut(text, "/")
	index, err1 := strconv.Atoi(i)
	count, err2 := strconv.Atoi(n)
	if err1 != nil || err2 != nil || index < 0 || index >= count || count > 1<<20 {
		return Shard{}, fmt.Errorf("%q, expected i/n with 0 <= i < n", text)
	}
	return Shard{index, count}, nil
}

// Dir is the name of the folder of a shard, below that of the set: "shard-0-of-4".
func (s Shard) Dir() string { return fmt.Sprintf("shard-%d-of-%d", s.Index, s.Count) }

var shardDir = regexp.MustCompile(`^shard-\d+-of-\d+$`)

func isShardDir(name string) bool { return shardDir.MatchString(name) }

// has reports whether a sample is in the shard. That depends on its path alone, so
// that images which are added or removed leave the others in their shards.
func (s Shard) has(x Sample) bool {
	return int(crcOf([]byte(x.Path))%uint32(s.Count)) == s.Index
}

// Identity identifies a listing.
type Identity struct {
	Samples int    `json:"samples"`
	SHA256  string `json:"sha256"` // of the paths, labels and sizes of all samples
}

// Identity returns the identity of the listing; that of the whole listing if this is a
// shard of it. For a stream it is known once the stream has ended.
func (l *Listing) Identity() Identity {
	if l.shard != nil {
		return l.whole
	}
	h := sha256.New()
	if l.joined != "" {
		fmt.Fprintf(h, "archives %s\n", l.joined)
	}
	for _, s := range l.Samples {
		fmt.Fprintf(h, "%q %q %q %q %d\n", s.Path, s.Class, s.Split, s.Group, s.Size)
	}
	return Identity{len(l.Samples), hex.EncodeToString(h.Sum(nil))}
}

// Take reduces the listing to the samples of a shard. Classes and labels stay those of
// the whole listing.
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

// only yields the samples of a stream that are in a shard.
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

// Shard returns the shard that was taken, or nil.
func (l *Listing) Shard() *Shard { return l.shard }
