package featurize

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// parquetRow is a sample in features.parquet. Without a label, label is -1; class,
// split and group are null if there is none.
type parquetRow struct {
	Path     string    `parquet:"path,plain"`
	Label    int64     `parquet:"label,plain"`
	Class    *string   `parquet:"class,optional,dict"`
	Split    *string   `parquet:"split,optional,dict"`
	Group    *string   `parquet:"group,optional,dict"`
	Features []float32 `parquet:"features,list,plain"`
}

// groupBytes is the approximate size of the features of a row group.
const groupBytes = 64 << 20

// writeParquet writes a row for every sample that has features. They are a LIST of
// FLOAT, uncompressed because they would hardly shrink.
func (s *setWriter) writeParquet(w io.Writer) error {
	size := product(s.dims)
	group := max(1, groupBytes/(4*size))
	out := parquet.NewGenericWriter[parquetRow](w, parquet.MaxRowsPerRowGroup(int64(group)), parquet.DataPageStatistics(false))
	out.SetKeyValueMetadata("shape", strings.Trim(fmt.Sprint(s.dims), "[]"))
	const step = 64
	rows, features := make([]parquetRow, 0, step), make([]float32, step*size)
	flush := func() error {
		_, err := out.Write(rows)
		rows = rows[:0]
		return err
	}
	err := s.each(func(r record) error {
		row := features[len(rows)*size:][:size]
		if err := s.read(bytesOf(row), r); err != nil {
			return err
		}
		rows = append(rows, parquetRow{
			Path: strings.ToValidUTF8(r.Path, "\ufffd"), Label: int64(r.Label),
			Class: orNil(r.Class), Split: orNil(r.Split), Group: orNil(r.Group), Features: row,
		})
		if len(rows) == step {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	return out.Close()
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	s = strings.ToValidUTF8(s, "\ufffd")
	return &s
}

// parquetRows reads the rows of features.parquet, in any order; reading in sequence is
// the fastest.
type parquetRows struct {
	reader *parquet.GenericReader[parquetFeatures]
	n, dim int
	dims   []int
	next   int
	row    [1]parquetFeatures
}

type parquetFeatures struct {
	Label    int64     `parquet:"label"`
	Features []float32 `parquet:"features,list"`
}

// openParquet opens the rows and reads all labels.
func openParquet(r io.ReaderAt, size int64) (p *parquetRows, labels []int64, err error) {
	defer noPanic(&err)
	f, err := openBounded(r, size)
	if err != nil {
		return nil, nil, fmt.Errorf("parquet: %w: %w", err, ErrFormat)
	}
	for _, name := range []string{"label", "features"} {
		if _, ok := f.Schema().Lookup(append([]string{name}, map[string][]string{"features": {"list", "element"}}[name]...)...); !ok {
			return nil, nil, fmt.Errorf("parquet: no column %q: %w", name, ErrFormat)
		}
	}
	p = &parquetRows{reader: parquet.NewGenericReader[parquetFeatures](f), n: int(f.NumRows())}
	if err := p.shape(f); err != nil || p.n == 0 {
		return p, nil, err
	}
	column := parquet.NewGenericReader[struct {
		Label int64 `parquet:"label"`
	}](f)
	defer column.Close()
	var some [256]struct {
		Label int64 `parquet:"label"`
	}
	for {
		n, err := column.Read(some[:])
		for _, l := range some[:n] {
			labels = append(labels, l.Label)
		}
		if err == io.EOF {
			break
		}
		if err != nil || n == 0 {
			return nil, nil, fmt.Errorf("parquet: labels: %w: %w", err, ErrFormat)
		}
	}
	if len(labels) != p.n {
		return nil, nil, fmt.Errorf("parquet: %d labels of %d rows: %w", len(labels), p.n, ErrFormat)
	}
	return p, labels, nil
}

// openBounded opens a file. It first checks the sizes that the file declares against
// its own size, because the library allocates whatever is declared.
func openBounded(r io.ReaderAt, size int64) (*parquet.File, error) {
	var tail [8]byte
	if size < 12 {
		return nil, fmt.Errorf("%d bytes", size)
	}
	if _, err := r.ReadAt(tail[:], size-8); err != nil {
		return nil, err
	}
	if footer := int64(binary.LittleEndian.Uint32(tail[:])); footer > size-12 {
		return nil, fmt.Errorf("a footer of %d bytes in a file of %d", footer, size)
	}
	f, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, err
	}
	values := int64(0)
	for _, g := range f.Metadata().RowGroups {
		for _, c := range g.Columns {
			m := c.MetaData
			if m.Codec != format.Uncompressed {
				return nil, fmt.Errorf("codec %v, expected none", m.Codec)
			}
			if m.TotalCompressedSize < 0 || m.TotalCompressedSize > size || m.NumValues < 0 {
				return nil, fmt.Errorf("column %v: %d values in %d bytes", m.PathInSchema, m.NumValues, m.TotalCompressedSize)
			}
			if m.PathInSchema[0] == "features" {
				values += m.NumValues
			}
		}
	}
	if n := f.NumRows(); n < 0 || n > values || values > size/4 {
		return nil, fmt.Errorf("%d rows and %d features in %d bytes", n, values, size)
	}
	return f, nil
}

// shape finds the shape of a row. It is written in the file, and must fit the first
// row.
func (p *parquetRows) shape(f *parquet.File) error {
	text, _ := f.Lookup("shape")
	for _, field := range strings.Fields(text) {
		d, err := strconv.Atoi(field)
		if err != nil || d < 1 || d > 1<<30 {
			return fmt.Errorf("parquet: shape %q: %w", text, ErrFormat)
		}
		p.dims = append(p.dims, d)
	}
	if p.n == 0 {
		p.dim = product(p.dims)
		return nil
	}
	if err := p.seek(0); err != nil {
		return err
	}
	p.dim = len(p.row[0].Features)
	if p.dims == nil {
		p.dims = []int{p.dim}
	}
	if p.dim == 0 || product(p.dims) != p.dim {
		return fmt.Errorf("parquet: the first row has %d features, its shape is %v: %w", p.dim, p.dims, ErrFormat)
	}
	return nil
}

// seek reads row i into p.row.
func (p *parquetRows) seek(i int) error {
	if i != p.next {
		if err := p.reader.SeekToRow(int64(i)); err != nil {
			return fmt.Errorf("parquet: row %d: %w: %w", i, err, ErrFormat)
		}
	}
	p.next = i + 1
	n, err := p.reader.Read(p.row[:])
	if n != 1 {
		return fmt.Errorf("parquet: row %d: %w", i, errors.Join(err, ErrFormat))
	}
	return nil
}

func (p *parquetRows) readRows(dst []float32, first int) (err error) {
	defer noPanic(&err)
	for ; len(dst) > 0; dst, first = dst[p.dim:], first+1 {
		if err := p.seek(first); err != nil {
			return err
		}
		if len(p.row[0].Features) != p.dim {
			return fmt.Errorf("parquet: row %d has %d features, expected %d: %w", first, len(p.row[0].Features), p.dim, ErrFormat)
		}
		copy(dst, p.row[0].Features)
	}
	return nil
}

// noPanic turns a panic of the parquet library into an error; some damaged files cause
// one.
func noPanic(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("parquet: %v: %w", p, ErrFormat)
	}
}
