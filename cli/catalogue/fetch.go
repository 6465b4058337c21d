package catalogue

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

var (
	errChanged = errors.New("it changed while it was fetched")
	errStalled = errors.New("nothing came any more")
)

// fetcher downloads files. What has come of a file lies in a part file; a note
// beside it says which file it is a part of.
type fetcher struct {
	client   *http.Client
	agent    string        // User-Agent
	tries    int           // at most, in a row, that each bring less than a megabyte
	pause    time.Duration // before the second of them; twice that before the third
	stall    time.Duration // the longest time without a byte
	progress func(done, total int64)
}

// partNote says of which version of which file a part file is the beginning.
type partNote struct {
	URL       string `json:"url"`
	Validator string `json:"validator"` // an ETag or a Last-Modified date; "" for none
	Total     int64  `json:"total"`     // bytes of the whole; -1 where not known
	SHA256    string `json:"sha256"`    // as the host announced it, "" for nothing
}

func noteOf(part string) string { return part + ".json" }

// newFetcher uses the proxy that the environment names.
func newFetcher(agent string, progress func(done, total int64)) *fetcher {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = time.Minute
	return &fetcher{&http.Client{Transport: t}, agent, 5, time.Second, time.Minute, progress}
}

// fetch downloads a file of size bytes, 0 where that is not known, to part, and
// continues with what part holds of it already. It returns the SHA-256 that the
// host announces, "" where it announces none.
func (f *fetcher) fetch(ctx context.Context, from, part string, size int64) (announced string, err error) {
	best := sizeOf(part)
	for try := 1; ; try++ {
		announced, err = f.attempt(ctx, from, part, size)
		var t *TemporaryError
		if err == nil || !errors.As(err, &t) {
			return announced, err
		}
		if now := sizeOf(part); now >= best+1<<20 {
			best, try = now, 1
		}
		if try >= f.tries {
			return "", fmt.Errorf("%w (tried %d times)", err, try)
		}
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-time.After(max(f.pause<<(try-1), min(t.After, time.Minute))):
		}
	}
}

// attempt makes one request.
func (f *fetcher) attempt(ctx context.Context, from, part string, size int64) (string, error) {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(f.stall, func() { cancel(errStalled) })
	defer timer.Stop()
	req, err := http.NewRequestWithContext(inner, http.MethodGet, from, nil)
	if err != nil {
		return "", err
	}
	if f.agent != "" {
		req.Header.Set("User-Agent", f.agent)
	}
	req.Header.Set("Accept-Encoding", "identity")
	have, offset := readPart(part, from)
	if offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
		req.Header.Set("If-Range", have.Validator)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return "", broken(ctx, inner, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && offset > 0 && offset == have.Total {
		return have.SHA256, nil // only the last step was missing
	}
	whole, err := f.answer(resp, from, offset, have)
	if errors.Is(err, errChanged) {
		os.Remove(part)
	}
	if err != nil {
		return "", err
	}
	if size > 0 && whole.Total >= 0 && whole.Total != size {
		return "", fmt.Errorf("%s is a file of %d bytes, expected %d: %w", Redacted(from), whole.Total, size, ErrRefused)
	}
	if resp.StatusCode == http.StatusOK {
		offset = 0
	}
	return whole.SHA256, f.receive(ctx, inner, resp.Body, part, offset, whole, func() { timer.Reset(f.stall) })
}

// answer checks the status and the headers of a response, and returns what they
// say of the whole file.
func (f *fetcher) answer(resp *http.Response, from string, offset int64, have partNote) (partNote, error) {
	whole := partNote{from, validatorOf(resp.Header), resp.ContentLength, announcedBy(resp)}
	switch status := resp.StatusCode; {
	case status == http.StatusPartialContent && offset > 0:
		var first, last, total int64
		n, _ := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &total)
		if n != 3 || first != offset || total != have.Total || whole.Validator != "" && whole.Validator != have.Validator {
			return whole, &TemporaryError{Err: fmt.Errorf("%s: %w", Redacted(from), errChanged)}
		}
		return have, nil
	case status == http.StatusRequestedRangeNotSatisfiable:
		return whole, &TemporaryError{Err: fmt.Errorf("%s: %w", Redacted(from), errChanged)}
	case status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= 500:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return whole, &TemporaryError{fmt.Errorf("%s: %s", Redacted(from), resp.Status), time.Duration(seconds) * time.Second}
	case status != http.StatusOK:
		return whole, fmt.Errorf("%s: %s: %w", Redacted(from), resp.Status, ErrUnavailable)
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return whole, fmt.Errorf("%s is an HTML page, not a checkpoint: %w", Redacted(from), ErrRefused)
	}
	return whole, nil
}

// receive writes the note, and then the body to part, from offset on.
func (f *fetcher) receive(ctx, inner context.Context, body io.Reader, part string, offset int64, whole partNote, alive func()) error {
	file, err := os.OpenFile(part, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Truncate(offset); err != nil {
		return err
	}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	if err := writeJSON(noteOf(part), whole); err != nil {
		return err
	}
	buf := make([]byte, 128<<10)
	for {
		n, err := body.Read(buf)
		alive()
		if _, err := file.Write(buf[:n]); err != nil {
			return err
		}
		offset += int64(n)
		if f.progress != nil && n > 0 {
			f.progress(offset, max(0, whole.Total))
		}
		if err == io.EOF {
			return file.Close()
		}
		if err != nil {
			return broken(ctx, inner, fmt.Errorf("%s ended after %d of %d bytes: %w", Redacted(whole.URL), offset, whole.Total, err))
		}
	}
}

// broken classifies the error of a request: the user ended it, the host cannot be
// reached, or another attempt may succeed.
func broken(ctx, inner context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var request *url.Error
	if errors.As(err, &request) {
		request.URL = Redacted(request.URL)
	}
	if inner.Err() != nil {
		return &TemporaryError{Err: fmt.Errorf("%w: %w", err, context.Cause(inner))}
	}
	var op *net.OpError
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	if errors.As(err, &dns) || errors.As(err, &cert) || errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect") {
		return fmt.Errorf("%w: %w", err, ErrUnavailable)
	}
	return &TemporaryError{Err: err}
}

// readPart returns the note of a part file and how many bytes of the file at the
// address it holds: 0 where it is a part of another file, or where the host gave
// no means to tell whether the file is still the same.
func readPart(part, from string) (partNote, int64) {
	var n partNote
	data, err := os.ReadFile(noteOf(part))
	if err != nil || json.Unmarshal(data, &n) != nil || n.URL != from || n.Validator == "" {
		return partNote{}, 0
	}
	return n, sizeOf(part)
}

// validatorOf is the value for If-Range: a strong ETag, or else a date.
func validatorOf(h http.Header) string {
	if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	return h.Get("Last-Modified")
}

// announcedBy finds the SHA-256 that hosts of Git LFS files send, in the response
// or in one of those that redirected to it.
func announcedBy(r *http.Response) string {
	for ; r != nil; r = r.Request.Response {
		sum := strings.Trim(r.Header.Get("X-Linked-Etag"), `"`)
		if b, err := hex.DecodeString(sum); err == nil && len(b) == 32 {
			return sum
		}
	}
	return ""
}

// Redacted is a URL without its query and user, which may be secret. A file name
// is returned as it is.
func Redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil || !isURL(address) {
		return address
	}
	u.RawQuery, u.User = "", nil
	return u.String()
}

// isURL tells a URL from a file name.
func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https")
}
