// Package turbo decodes JPEG files with libjpeg-turbo, through the library's
// stable TurboJPEG API. The library is loaded when it is first needed, so neither
// it nor its headers are needed to build a program. Most programs want package
// pixels, which uses turbo if the library is there and Go's decoder otherwise.
//
//	d := turbo.New()
//	if d == nil {
//		return errors.New("libjpeg-turbo is not installed")
//	}
//	defer d.Close()
//	width, height, space, err := d.Header(file)
//	...
//	dst := make([]byte, width*height*3) // [H,W,3]
//	err = d.Decode(dst, file, width, height, false)
package turbo

/*
#cgo linux LDFLAGS: -ldl
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

typedef void *(*init_fn)(void);
typedef int (*destroy_fn)(void *);
typedef int (*header_fn)(void *, const unsigned char *, unsigned long, int *, int *, int *, int *);
typedef int (*decode_fn)(void *, const unsigned char *, unsigned long, unsigned char *, int, int, int, int, int);
typedef char *(*error_fn)(void *);
typedef int (*code_fn)(void *);

static struct {
	void *lib;
	init_fn init;
	destroy_fn destroy;
	header_fn header;
	decode_fn decode;
	error_fn error;
	code_fn code;
} tj;

static int tj_load(const char *path) {
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (lib == NULL) return 0;
	tj.init = (init_fn)dlsym(lib, "tjInitDecompress");
	tj.destroy = (destroy_fn)dlsym(lib, "tjDestroy");
	tj.header = (header_fn)dlsym(lib, "tjDecompressHeader3");
	tj.decode = (decode_fn)dlsym(lib, "tjDecompress2");
	tj.error = (error_fn)dlsym(lib, "tjGetErrorStr2");
	tj.code = (code_fn)dlsym(lib, "tjGetErrorCode");
	if (!tj.init || !tj.destroy || !tj.header || !tj.decode || !tj.error || !tj.code) {
		dlclose(lib);
		return 0;
	}
	tj.lib = lib;
	return 1;
}

static void *tj_init(void) { return tj.init(); }
static void tj_destroy(void *h) { tj.destroy(h); }
static int tj_header(void *h, const unsigned char *b, unsigned long n, int *dims) {
	return tj.header(h, b, n, &dims[0], &dims[1], &dims[2], &dims[3]);
}
static int tj_decode(void *h, const unsigned char *b, unsigned long n, unsigned char *dst, int w, int ht, int format, int flags) {
	return tj.decode(h, b, n, dst, w, 0, ht, format, flags);
}
static char *tj_error(void *h) { return tj.error(h); }
static int tj_code(void *h) { return tj.code(h); }

// The path of the loaded library. libjpeg-turbo has no function that returns its
// version; its file holds a text that does.
static int tj_path(char *dst, size_t n) {
	Dl_info info;
	if (!tj.lib || !dladdr((void *)tj.init, &info) || !info.dli_fname) return 0;
	size_t i = 0;
	for (; i + 1 < n && info.dli_fname[i]; i++) dst[i] = info.dli_fname[i];
	dst[i] = 0;
	return 1;
}
*/
import "C"

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"unsafe"
)

// Colour spaces of JPEG files that Decode turns into CMYK rather than RGB.
const (
	CMYK = 3
	YCCK = 4
)

// Constants of turbojpeg.h: pixel formats, and the flag for the accurate inverse
// DCT, which is libjpeg's default.
const (
	formatRGB  = 0
	formatCMYK = 11
	accurate   = 4096
)

// load loads the library, once, and reports whether it is there.
var load = sync.OnceValue(func() bool {
	names := []string{"libturbojpeg.so.0", "libturbojpeg.so"}
	if runtime.GOOS == "darwin" {
		names = []string{"libturbojpeg.0.dylib", "/opt/homebrew/lib/libturbojpeg.0.dylib", "/usr/local/lib/libturbojpeg.0.dylib"}
	}
	for _, n := range names {
		c := append([]byte(n), 0)
		if C.tj_load((*C.char)(unsafe.Pointer(&c[0]))) == 1 {
			return true
		}
	}
	return false
})

// Version returns the version of libjpeg-turbo, such as "2.1.5", from the text in the
// library's file that names it; where there is none, that of Interface. ok is false
// if there is no library.
func Version() (version string, ok bool) {
	if !load() {
		return "", false
	}
	return cmp.Or(ownVersion(), interfaceOf(libraryFile())), true
}

// Interface returns the version of the TurboJPEG interface, such as "0.2.0", which
// the name of the library's file ends with. It stays the same over many versions of
// the library. ok is false if there is no library.
func Interface() (version string, ok bool) {
	if !load() {
		return "", false
	}
	return interfaceOf(libraryFile()), true
}

// libraryFile is the path of the loaded library, "" where the system does not tell.
func libraryFile() string {
	var buf [1024]C.char
	if C.tj_path(&buf[0], 1024) == 0 {
		return ""
	}
	file := C.GoString(&buf[0])
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	return file
}

func interfaceOf(file string) string {
	if file == "" {
		return "unknown"
	}
	_, version, _ := strings.Cut(filepath.Base(file), ".so.")
	return cmp.Or(version, filepath.Base(file))
}

var versionText = regexp.MustCompile(`libjpeg-turbo version ([0-9][0-9A-Za-z.]*)`)

// versionIn is the version of libjpeg-turbo that the bytes of its file name, "" for
// none.
func versionIn(library []byte) string {
	if found := versionText.FindSubmatch(library); found != nil {
		return string(found[1])
	}
	return ""
}

// ownVersion reads the file of the loaded library, once.
var ownVersion = sync.OnceValue(func() string {
	library, err := os.ReadFile(libraryFile())
	if err != nil {
		return ""
	}
	return versionIn(library)
})

// Decoder is a handle of the library. One goroutine may use it at a time.
type Decoder struct{ h unsafe.Pointer }

// New makes a decoder, which the caller must Close; nil if there is no library.
func New() *Decoder {
	if !load() {
		return nil
	}
	h := C.tj_init()
	if h == nil {
		return nil
	}
	return &Decoder{h}
}

// Close frees the handle. It may be called twice.
func (d *Decoder) Close() {
	if d.h != nil {
		C.tj_destroy(d.h)
		d.h = nil
	}
}

// Header returns the size in pixels and the colour space of a file, which must not
// be empty.
func (d *Decoder) Header(data []byte) (width, height, space int, err error) {
	var dims [4]C.int
	if C.tj_header(d.h, (*C.uchar)(&data[0]), C.ulong(len(data)), &dims[0]) != 0 {
		return 0, 0, 0, d.failure()
	}
	return int(dims[0]), int(dims[1]), int(dims[3]), nil
}

// Decode decodes a file of the size that Header returned into dst: RGB,
// width*height*3 bytes, or with cmyk set, width*height*4 bytes of CMYK, for a
// file of one of those colour spaces. Damage that libjpeg only warns of is
// ignored.
func (d *Decoder) Decode(dst, data []byte, width, height int, cmyk bool) error {
	format := C.int(formatRGB)
	if cmyk {
		format = formatCMYK
	}
	if C.tj_decode(d.h, (*C.uchar)(&data[0]), C.ulong(len(data)), (*C.uchar)(&dst[0]), C.int(width), C.int(height), format, accurate) != 0 && C.tj_code(d.h) != 0 {
		return d.failure()
	}
	return nil
}

// failure returns the library's error and replaces the handle: after a file that
// ends within its headers, a handle would read what is left of them as part of
// the next file.
func (d *Decoder) failure() error {
	err := errors.New(C.GoString(C.tj_error(d.h)))
	if h := C.tj_init(); h != nil {
		C.tj_destroy(d.h)
		d.h = h
	}
	return err
}
