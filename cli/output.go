package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"
)

// object is a JSON object whose keys keep their order.
type object []struct {
	Key   string
	Value any
}

// MarshalJSON writes NaN and infinities as null.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if x, ok := f.Value.(float64); ok && (math.IsNaN(x) || math.IsInf(x, 0)) {
			f.Value = nil
		}
		k, err := json.Marshal(f.Key)
		if err != nil {
			return nil, err
		}
		v, err := json.Marshal(f.Value)
		if err != nil {
			return nil, err
		}
		b.Write(k)
		b.WriteByte(':')
		b.Write(v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// print writes one line.
func (e *env) print(o object) {
	line, err := json.Marshal(o)
	if err != nil {
		line, _ = json.Marshal(object{{"schema", "rtx.error/1"}, {"status", "failed"}, {"code", 1}, {"error", err.Error()}})
	}
	fmt.Fprintf(e.stdout, "%s\n", line)
}

// result is the object of a verb: the keys that every object has, then its own.
func (e *env) result(schema, status, out string, own object) object {
	head := object{{"schema", schema}, {"status", status}, {"out", out}, {"seconds", time.Since(e.start).Seconds()}, {"warnings", e.warnings}}
	return append(head, own...)
}

// note writes a line to stderr for people.
func (e *env) note(format string, a ...any) {
	if !e.json && !e.quiet {
		fmt.Fprintf(e.stderr, "rtx: "+format+"\n", a...)
	}
}

// warn is a note that is also recorded in the result.
func (e *env) warn(format string, a ...any) {
	w := fmt.Sprintf(format, a...)
	e.warnings = append(e.warnings, w)
	if !e.json {
		fmt.Fprintf(e.stderr, "rtx: warning: %s\n", w)
	}
}

// table writes rows of two columns.
func (e *env) table(rows [][2]string) {
	width := 0
	for _, r := range rows {
		width = max(width, len(r[0]))
	}
	for _, r := range rows {
		fmt.Fprintln(e.stdout, strings.TrimRight(fmt.Sprintf("%-*s  %s", width, r[0], r[1]), " "))
	}
}
