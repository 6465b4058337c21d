// Package turbo decodes JPEG with libjpeg-turbo, loaded at run time through its
// stable TurboJPEG API. No header is needed to build it.
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

// Where the library says which it is: libjpeg-turbo has no version function,
// but its file name ends in one.
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
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"unsafe"
)

// Colour spaces of a JPEG file, and the formats it is decoded to.
const (
	CMYK = 3
	YCCK = 4

	formatRGB  = 0
	formatCMYK = 11
	accurate   = 4096 // the accurate inverse DCT, libjpeg's default
)

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

// Version returns what the library's file name says, such as "0.2.0" (the
// version of the TurboJPEG interface); ok is false where there is no library.
func Version() (version string, ok bool) {
	if !load() {
		return "", false
	}
	var buf [1024]C.char
	if C.tj_path(&buf[0], 1024) == 0 {
		return "unknown", true
	}
	file := C.GoString(&buf[0])
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	_, version, _ = strings.Cut(filepath.Base(file), ".so.")
	if version == "" {
		version = filepath.Base(file)
	}
	return version, true
}

// Decoder is a handle of the library, for one goroutine at a time.
type Decoder struct{ h unsafe.Pointer }

// New returns nil where there is no library.
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

// Close frees the handle.
func (d *Decoder) Close() {
	if d.h != nil {
		C.tj_destroy(d.h)
		d.h = nil
	}
}

// Header returns the size and the colour space of a file.
func (d *Decoder) Header(data []byte) (width, height, space int, err error) {
	var dims [4]C.int
	if C.tj_header(d.h, (*C.uchar)(&data[0]), C.ulong(len(data)), &dims[0]) != 0 {
		return 0, 0, 0, d.failure()
	}
	return int(dims[0]), int(dims[1]), int(dims[3]), nil
}

// Decode fills dst with RGB, or with CMYK (4 bytes a pixel) where the file is
// that. Damage that the library can pass over is passed over.
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

// failure is what the library says, and an end to its handle: one that has met a
// file which ends in its headers takes their remains for those of the next.
func (d *Decoder) failure() error {
	err := errors.New(C.GoString(C.tj_error(d.h)))
	if h := C.tj_init(); h != nil {
		C.tj_destroy(d.h)
		d.h = h
	}
	return err
}
