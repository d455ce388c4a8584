// SPDX-License-Identifier: Apache-2.0
// One image in, one image out, by libvips. The library is loaded when it is first needed, by the process that renders alone:
// it brings some sixty others along, which no server has to load for an image or two.
#ifndef CIMAGES_H
#define CIMAGES_H

#include <stddef.h>

enum cimages_fit { CIMAGES_COVER = 0, CIMAGES_CONTAIN = 1, CIMAGES_FILL = 2 };
enum cimages_format {
    CIMAGES_ORIGIN = 0, CIMAGES_JPEG = 1, CIMAGES_PNG = 2, CIMAGES_WEBP = 3, CIMAGES_GIF = 4, CIMAGES_AVIF = 5,
    CIMAGES_TIFF = 6
};
enum cimages_status {
    CIMAGES_OK = 0, CIMAGES_NO_LIBRARY = 1, CIMAGES_UNREADABLE = 2, CIMAGES_TOO_LARGE = 3, CIMAGES_FAILED = 4
};

struct cimages_request {
    /// Pixels; 0 keeps the proportion.
    int width, height;
    enum cimages_fit fit;
    enum cimages_format format;
    /// 1 to 100.
    int quality;
    /// The most pixels of the source, all its frames together.
    long max_pixels;
    /// What of a covered image is kept: 0 is left or top, 1 right or bottom. Negative lets the library look for what matters.
    double focus_x, focus_y;
};

struct cimages_result {
    /// The format that was written.
    enum cimages_format format;
    int width, height;
};

/// Loads libvips; 0 when it is not installed. Safe to call again.
int cimages_load(void);

/// Reads the file at `input`, which may be of any size, and writes the image to `output`, whose folder must exist.
enum cimages_status cimages_render(
    const char *input, const char *output, const struct cimages_request *request, struct cimages_result *result);

/// Bounds what this process may take from now on: bytes of address space, seconds of processor time, bytes of a file.
int cimages_limit(size_t memory, unsigned seconds, size_t file_size);

#endif
