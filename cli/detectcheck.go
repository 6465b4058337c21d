package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

// checkOptions are those of rtx detect check, in the order of args.yaml.
type checkOptions struct {
	Root      string `flag:"root"`
	Out       string `flag:"out"`
	Overwrite bool   `flag:"overwrite"`
	Workers   int    `flag:"workers"`
}

// checking is one call of the verb.
type checking struct {
	*env
	checkOptions
	data    string
	command string
	args    []byte
	set     *data.Set
	sum     string         // identity of set as it was opened: the check adds to it
	folder  *output.Folder // nil: nothing is kept
}

func (e *env) detectCheck(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	k := &checking{env: e, data: c.Args().First()}
	readOptions(c, &k.checkOptions)
	if n := c.NArg(); n != 1 {
		return &usageError{msg: fmt.Sprintf("%d data sets are named, expected one", n), hint: "rtx detect check DATA"}
	}
	var err error
	if k.args, err = recordedOptions(&k.checkOptions); err != nil {
		return err
	}
	k.command = commandLineOf("detect check", c)
	ctx := c.Context
	if err := k.open(ctx); err != nil {
		return err
	}
	defer k.set.Close()
	k.sum = setIdentity(k.set, k.data, k.Root)
	if k.Out != "" {
		if k.folder, err = output.Open(k.Out, checkLayout); err != nil {
			return err
		}
		defer k.folder.Close()
		k.folder.Keep(k.data, k.Root, k.config)
		if there, err := k.there(); err != nil || there != nil {
			return errors.Join(err, k.report("cached", there))
		}
	}
	r, err := k.run(ctx)
	if err != nil {
		return err
	}
	found := k.result(r)
	if err := k.write(ctx, r, found); err != nil {
		return k.interrupted(ctx, err)
	}
	return k.report("done", found)
}

// open reads the annotations.
func (k *checking) open(ctx context.Context) (err error) {
	k.set, err = data.Open(ctx, k.data, data.Config{Root: k.Root})
	if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, featurize.ErrData) {
		return hinted{fmt.Errorf("%w: %w", err, featurize.ErrData), "DATA is a folder, an archive, or a .json or data.yaml file"}
	}
	return k.interrupted(ctx, err)
}

// run reads all images.
func (k *checking) run(ctx context.Context) (*data.Report, error) {
	p := newProgress(k.env)
	r, err := k.set.Check(ctx, data.CheckConfig{Workers: cores(k.Workers), Progress: p.concurrent()})
	p.end()
	return r, k.interrupted(ctx, err)
}

// interrupted adds to the error of a check that a signal has ended what is left of it.
func (k *checking) interrupted(ctx context.Context, err error) error {
	if err == nil || !errors.As(context.Cause(ctx), new(signalled)) {
		return err
	}
	return hinted{partial{context.Cause(ctx), k.env.result("rtx.detect.check/1", "interrupted", k.Out, nil)}, startsOver}
}

var checkLayout = output.Layout{Kind: "check of a data set", Files: []string{"args.yaml", "per_class.csv", "check.html", "check.json"}}

// checkSettings are what a check depends on.
type checkSettings struct {
	Data    string `json:"data"` // identity of annotations and files
	Decoder string `json:"decoder"`
	Pixels  string `json:"pixels"`
	Version int    `json:"check"` // of what is counted
}

func (k *checking) settings() checkSettings {
	return checkSettings{k.sum, pixels.JPEGDecoderKey(), pixels.Version, 1}
}

// setIdentity tells data sets apart: by what the annotations say, and by the sizes and
// times of the archive or the image files, which are in folder, or where file says.
func setIdentity(set *data.Set, file, folder string) string {
	h := sha256.New()
	stamp := func(name string) {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			fmt.Fprintf(h, "%d %d", info.Size(), info.ModTime().UnixNano())
		}
	}
	root := file
	if info, err := os.Stat(file); err == nil && !info.IsDir() {
		stamp(file)
		switch whole, err := filepath.Abs(file); {
		case folder != "":
			root = folder
		case err == nil && strings.EqualFold(filepath.Ext(whole), ".json"):
			root = filepath.Dir(filepath.Dir(whole)) // paths begin with the folder of the file
		default:
			root = filepath.Dir(file)
		}
	}
	for _, f := range set.Findings {
		fmt.Fprintf(h, "%s %d\n", f.Kind, f.Count)
	}
	fmt.Fprintf(h, "%+v\n", set.Classes)
	for i := range set.Images {
		img := &set.Images[i]
		fmt.Fprintf(h, "%q %q %d %d %v ", img.Path, img.Split, img.Width, img.Height, img.Read == nil)
		name := filepath.FromSlash(img.Path)
		if !filepath.IsAbs(name) {
			name = filepath.Join(root, name)
		}
		stamp(name)
		for _, o := range img.Objects {
			fmt.Fprintf(h, "\n%d %v %v %v %g", o.Class, o.Box, o.Crowd, o.Difficult, o.Area)
		}
		fmt.Fprintln(h)
	}
	return fmt.Sprintf("%s, %d images, %s", set.Format, len(set.Images), hex.EncodeToString(h.Sum(nil))[:16])
}

// there returns the check that OUT holds already, nil where there is something to do.
func (k *checking) there() (*checkResult, error) {
	if k.Overwrite {
		return nil, nil
	}
	begun, err := k.folder.Compare(k.settings())
	if err != nil || !begun || !k.folder.Done() {
		return nil, err
	}
	old := &checkResult{}
	text, err := os.ReadFile(k.folder.Path("check.json"))
	if err == nil {
		err = json.Unmarshal(text, old)
	}
	if err != nil {
		return nil, fmt.Errorf("output %q: check.json: %w: %w", k.Out, err, output.ErrConfig)
	}
	return old, nil
}

// write makes the files of OUT.
func (k *checking) write(ctx context.Context, r *data.Report, found *checkResult) error {
	if k.folder == nil {
		return nil
	}
	var page bytes.Buffer
	if err := k.page(ctx, r, found, &page); err != nil {
		return err
	}
	if err := k.folder.Begin(k.settings(), k.Overwrite); err != nil {
		return err
	}
	head := append(k.env.result("rtx.detect.check/1", "done", k.Out, found.fields()), object{{"rtx", buildVersion()}, {"config", k.settings()}}...)
	return k.folder.Put(ctx,
		output.Content{Name: "args.yaml", Write: output.Bytes(k.args)},
		output.Content{Name: "per_class.csv", Write: func(w io.Writer) error { return csv.NewWriter(w).WriteAll(found.classRows()) }},
		output.Content{Name: "check.html", Write: output.Bytes(page.Bytes())},
		output.Content{Name: "check.json", Write: output.JSON(head)},
	)
}

// report tells what was found, and fails where the data cannot be used.
func (k *checking) report(status string, r *checkResult) error {
	if r == nil {
		return nil
	}
	if status == "cached" {
		k.note("nothing to do: %s holds this check", k.Out)
	}
	var unusable error
	if r.Unusable != "" {
		unusable, status = fmt.Errorf("%q: %s: %w", k.data, r.Unusable, featurize.ErrData), "failed"
	}
	o := k.env.result("rtx.detect.check/1", status, k.Out, r.fields())
	switch {
	case k.json && unusable != nil:
		return partial{unusable, o}
	case k.json:
		k.print(o)
	default:
		if err := r.tables(k.stdout); err != nil {
			return err
		}
	}
	return unusable
}
