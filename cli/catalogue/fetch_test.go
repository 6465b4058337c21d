package catalogue

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// host serves a file, with faults.
type host struct {
	content        []byte
	tag            string        // ETag
	noRange        bool          // Range is ignored
	cut            int           // connections that end after half of what is left
	fail           int           // requests that are answered with status
	status         int           // of those
	wait           time.Duration // after half
	page           string        // an HTML page in the file's place
	announce       string        // X-Linked-Etag
	requests, sent atomic.Int64
	ranges         []string
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := int(h.requests.Add(1))
	h.ranges = append(h.ranges, r.Header.Get("Range"))
	if n <= h.fail {
		w.WriteHeader(h.status)
		return
	}
	if h.page != "" {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, h.page)
		return
	}
	w.Header().Set("ETag", h.tag)
	if h.announce != "" {
		w.Header().Set("X-Linked-Etag", `"`+h.announce+`"`)
	}
	first := 0
	if rng := r.Header.Get("Range"); rng != "" && !h.noRange && (r.Header.Get("If-Range") == h.tag) {
		fmt.Sscanf(rng, "bytes=%d-", &first)
		if first >= len(h.content) {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", len(h.content)))
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, len(h.content)-1, len(h.content)))
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(h.content)-first))
	if first > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	rest := h.content[first:]
	half := len(rest) / 2
	k, _ := w.Write(rest[:half])
	h.sent.Add(int64(k))
	w.(http.Flusher).Flush()
	if n <= h.cut+h.fail {
		panic(http.ErrAbortHandler)
	}
	select {
	case <-time.After(h.wait):
	case <-r.Context().Done():
		return
	}
	k, _ = w.Write(rest[half:])
	h.sent.Add(int64(k))
}

func payload(n int) []byte {
	b := make([]byte, n)
	random := rand.NewChaCha8([32]byte{7})
	random.Read(b)
	return b
}

func quick() *fetcher {
	f := newFetcher("rtx/test", nil)
	f.pause, f.stall, f.tries = time.Millisecond, 2*time.Second, 4
	return f
}

func TestFetch(t *testing.T) {
	content := payload(300_000)
	sum := sha256.Sum256(content)
	for name, c := range map[string]struct {
		host     *host
		requests int64
		extra    int64 // bytes beyond the file's
		want     string
		target   error
	}{
		"whole":                  {host: &host{}, requests: 1},
		"announced":              {host: &host{announce: hex.EncodeToString(sum[:])}, requests: 1},
		"cut twice":              {host: &host{cut: 2}, requests: 3},
		"cut, Range ignored":     {host: &host{cut: 1, noRange: true}, requests: 2, extra: 150_000},
		"cut, no validator":      {host: &host{cut: 1, tag: "W/\"weak\""}, requests: 2, extra: 150_000},
		"busy, then there":       {host: &host{fail: 2, status: 503}, requests: 3},
		"too many requests":      {host: &host{fail: 99, status: 429}, requests: 4, want: "429"},
		"always cut":             {host: &host{cut: 99, noRange: true}, requests: 4, want: "of 300000 bytes"},
		"not found":              {host: &host{fail: 99, status: 404}, requests: 1, want: "404", target: ErrUnavailable},
		"forbidden":              {host: &host{fail: 99, status: 403}, requests: 1, want: "403", target: ErrUnavailable},
		"an HTML page with 200":  {host: &host{page: "<html>log in</html>"}, requests: 1, want: "HTML page", target: ErrRefused},
		"another size":           {host: &host{content: content[:1000]}, requests: 1, want: "of 1000 bytes, expected 300000", target: ErrRefused},
		"nothing comes any more": {host: &host{wait: time.Hour}, requests: 4, want: "nothing came"},
	} {
		t.Run(name, func(t *testing.T) {
			h := c.host
			if h.content == nil {
				h.content = content
			}
			if h.tag == "" {
				h.tag = `"v1"`
			}
			server := httptest.NewServer(h)
			defer server.Close()
			f, part := quick(), filepath.Join(t.TempDir(), "part")
			if h.wait > 0 {
				f.stall = 50 * time.Millisecond
			}
			announced, err := f.fetch(context.Background(), server.URL+"/a.ckpt?secret=1", part, int64(len(content)))
			server.Close() // so that the handler has counted what it sent
			if n := h.requests.Load(); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
			if c.want != "" {
				var later *TemporaryError
				if err == nil || !strings.Contains(err.Error(), c.want) || c.target != nil && !errors.Is(err, c.target) || (c.target == nil) != errors.As(err, &later) {
					t.Errorf("%v, want %q", err, c.want)
				}
				if err != nil && strings.Contains(err.Error(), "secret") {
					t.Errorf("the error shows the query: %v", err)
				}
				return
			}
			got, _ := os.ReadFile(part)
			if err != nil || !bytes.Equal(got, content) || announced != h.announce {
				t.Errorf("%v, %d bytes, announced %q", err, len(got), announced)
			}
			if n := h.sent.Load(); n != int64(len(content))+c.extra {
				t.Errorf("the host sent %d bytes, want %d and %d", n, len(content), c.extra)
			}
		})
	}
}

// TestFetchChanged finds another file at the address when it goes on.
func TestFetchChanged(t *testing.T) {
	before, after := payload(200_000), payload(260_000)
	var now atomic.Pointer[host]
	now.Store(&host{content: before, tag: `"v1"`, cut: 99})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { now.Load().ServeHTTP(w, r) }))
	defer server.Close()
	f, part := quick(), filepath.Join(t.TempDir(), "part")
	f.tries = 1
	if _, err := f.fetch(context.Background(), server.URL, part, 0); err == nil || sizeOf(part) != 100_000 {
		t.Fatalf("%v, %d bytes", err, sizeOf(part))
	}
	after[0]++
	h := &host{content: after, tag: `"v2"`}
	now.Store(h)
	if _, err := f.fetch(context.Background(), server.URL, part, 0); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(part); !bytes.Equal(got, after) || h.ranges[0] != "bytes=100000-" {
		t.Errorf("%d bytes, asked for %q", len(got), h.ranges)
	}
	// A whole part needs no byte more.
	const sent = 260_000                                                                          // all: what was there is of another version
	for end := time.Now().Add(5 * time.Second); h.sent.Load() < sent && time.Now().Before(end); { // it counts after the client has read
		time.Sleep(time.Millisecond)
	}
	if _, err := f.fetch(context.Background(), server.URL, part, 0); err != nil || h.sent.Load() != sent {
		t.Errorf("%v, %d bytes sent, want %d", err, h.sent.Load(), sent)
	}
	// A host that honours Range for another file, whatever If-Range says.
	os.Truncate(part, 1000)
	lying := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.tag = `"v3"`
		if rng := r.Header.Get("Range"); rng != "" {
			r.Header.Set("If-Range", h.tag)
		}
		h.ServeHTTP(w, r)
	}))
	defer lying.Close()
	h.content = before
	if err := writeJSON(noteOf(part), partNote{URL: lying.URL, Validator: `"v2"`, Total: 260_000}); err != nil {
		t.Fatal(err)
	}
	f.tries = 2
	if _, err := f.fetch(context.Background(), lying.URL, part, 0); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(part); !bytes.Equal(got, before) {
		t.Errorf("%d bytes of two files", len(got))
	}
}

// TestFetchCancelled keeps what has come.
func TestFetchCancelled(t *testing.T) {
	h := &host{content: payload(200_000), tag: `"v1"`, wait: time.Hour}
	server := httptest.NewServer(h)
	defer server.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	f, part, why := quick(), filepath.Join(t.TempDir(), "part"), errors.New("enough")
	f.progress = func(done, total int64) {
		if done == 100_000 && total == 200_000 {
			cancel(why)
		}
	}
	if _, err := f.fetch(ctx, server.URL, part, 0); !errors.Is(err, why) || sizeOf(part) != 100_000 {
		t.Errorf("%v, %d bytes", err, sizeOf(part))
	}
}

func TestFetchUnreachable(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	if _, err := quick().fetch(context.Background(), server.URL, filepath.Join(t.TempDir(), "part"), 0); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
}
