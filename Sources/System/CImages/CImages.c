// SPDX-License-Identifier: Apache-2.0
#include "CImages.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

// The part of libvips' interface that is used. It is the same in all versions from 8.13, the first that can refuse loaders
// which are not safe with files of strangers.
typedef struct VipsImage VipsImage;

static struct {
    int (*init)(const char *);
    void (*block_untrusted_set)(int);
    void (*concurrency_set)(int);
    void (*cache_set_max)(int);
    const char *(*foreign_find_load)(const char *);
    VipsImage *(*image_new_from_file)(const char *, ...);
    int (*image_get_width)(const VipsImage *);
    int (*image_get_height)(const VipsImage *);
    int (*image_get_n_pages)(VipsImage *);
    int (*image_get_orientation)(VipsImage *);
    int (*thumbnail)(const char *, VipsImage **, int, ...);
    int (*autorot)(VipsImage *, VipsImage **, ...);
    int (*extract_area)(VipsImage *, VipsImage **, int, int, int, int, ...);
    int (*smartcrop)(VipsImage *, VipsImage **, int, int, ...);
    VipsImage *(*image_copy_memory)(VipsImage *);
    int (*image_write_to_file)(VipsImage *, const char *, ...);
    void (*object_unref)(void *);
} vips;

// VIPS_SIZE_FORCE of VipsSize.
static const int size_force = 3;

int cimages_load(void) {
    static int state = 0;
    if (state != 0) return state > 0;
    state = -1;
    void *library = dlopen("libvips.so.42", RTLD_NOW | RTLD_GLOBAL);
    if (!library) return 0;
#define FIND(member, name) \
    do { \
        *(void **)&vips.member = dlsym(library, name); \
        if (!vips.member) return 0; \
    } while (0)
    FIND(init, "vips_init");
    FIND(block_untrusted_set, "vips_block_untrusted_set");
    FIND(concurrency_set, "vips_concurrency_set");
    FIND(cache_set_max, "vips_cache_set_max");
    FIND(foreign_find_load, "vips_foreign_find_load");
    FIND(image_new_from_file, "vips_image_new_from_file");
    FIND(image_get_width, "vips_image_get_width");
    FIND(image_get_height, "vips_image_get_height");
    FIND(image_get_n_pages, "vips_image_get_n_pages");
    FIND(image_get_orientation, "vips_image_get_orientation");
    FIND(thumbnail, "vips_thumbnail");
    FIND(autorot, "vips_autorot");
    FIND(extract_area, "vips_extract_area");
    FIND(smartcrop, "vips_smartcrop");
    FIND(image_copy_memory, "vips_image_copy_memory");
    FIND(image_write_to_file, "vips_image_write_to_file");
    FIND(object_unref, "g_object_unref");
#undef FIND
    if (vips.init("atoll") != 0) return 0;
    vips.block_untrusted_set(1);
    vips.concurrency_set(1);
    vips.cache_set_max(0);
    state = 1;
    return 1;
}

static enum cimages_format format_of(const char *loader) {
    if (strstr(loader, "Jpeg")) return CIMAGES_JPEG;
    if (strstr(loader, "Png")) return CIMAGES_PNG;
    if (strstr(loader, "Webp")) return CIMAGES_WEBP;
    if (strstr(loader, "Nsgif") || strstr(loader, "Gif")) return CIMAGES_GIF;
    if (strstr(loader, "Heif")) return CIMAGES_AVIF;
    if (strstr(loader, "Tiff")) return CIMAGES_TIFF;
    return CIMAGES_ORIGIN;
}

static int at_least_one(double value) { return value < 1 ? 1 : (int)(value + 0.5); }
static int lesser(int a, int b) { return a < b ? a : b; }

/// Replaces `*image` by what an operation made of it.
static enum cimages_status took(VipsImage **image, VipsImage *made, int status) {
    if (status != 0 || !made) return CIMAGES_FAILED;
    vips.object_unref(*image);
    *image = made;
    return CIMAGES_OK;
}

static enum cimages_status resize(
    const char *input, VipsImage **image, const struct cimages_request *request, int width, int height)
{
    double wanted_width = request->width, wanted_height = request->height;
    VipsImage *made = NULL;
    if (wanted_width <= 0 && wanted_height <= 0) {
        int status = vips.autorot(*image, &made, (char *)NULL);
        return took(image, made, status);
    }
    if (wanted_width <= 0) wanted_width = request->fit == CIMAGES_FILL ? width : width * wanted_height / height;
    if (wanted_height <= 0) wanted_height = request->fit == CIMAGES_FILL ? height : height * wanted_width / width;
    double by_width = wanted_width / width, by_height = wanted_height / height;
    double scale = request->fit == CIMAGES_CONTAIN ? (by_width < by_height ? by_width : by_height)
                                                   : (by_width > by_height ? by_width : by_height);
    // Nothing is made larger than it is, but what is told to fill.
    if (scale > 1) scale = 1;
    int target_width = request->fit == CIMAGES_FILL ? at_least_one(wanted_width) : at_least_one(width * scale);
    int target_height = request->fit == CIMAGES_FILL ? at_least_one(wanted_height) : at_least_one(height * scale);
    int status = vips.thumbnail(
        input, &made, target_width, "height", target_height, "size", size_force, (char *)NULL);
    enum cimages_status result = took(image, made, status);
    if (result != CIMAGES_OK || request->fit != CIMAGES_COVER) return result;

    int kept_width = lesser(at_least_one(wanted_width), target_width);
    int kept_height = lesser(at_least_one(wanted_height), target_height);
    if (kept_width == target_width && kept_height == target_height) return CIMAGES_OK;
    made = NULL;
    if (request->focus_x < 0) {
        // It looks at the image twice, and a thumbnail is made row by row.
        VipsImage *whole = vips.image_copy_memory(*image);
        if (took(image, whole, 0) != CIMAGES_OK) return CIMAGES_FAILED;
        status = vips.smartcrop(*image, &made, kept_width, kept_height, (char *)NULL);
    } else {
        int left = (int)((target_width - kept_width) * request->focus_x + 0.5);
        int top = (int)((target_height - kept_height) * request->focus_y + 0.5);
        status = vips.extract_area(*image, &made, left, top, kept_width, kept_height, (char *)NULL);
    }
    return took(image, made, status);
}

static const char *suffix_of(enum cimages_format format) {
    switch (format) {
    case CIMAGES_PNG: return ".png[strip]";
    case CIMAGES_WEBP: return ".webp[strip,Q=%d]";
    case CIMAGES_GIF: return ".gif[strip]";
    case CIMAGES_AVIF: return ".avif[strip,Q=%d]";
    case CIMAGES_TIFF: return ".tif[strip,compression=lzw]";
    case CIMAGES_JPEG:
    case CIMAGES_ORIGIN: break;
    }
    return ".jpg[strip,Q=%d,background=255]";
}

enum cimages_status cimages_render(
    const char *input, const char *output, const struct cimages_request *request, struct cimages_result *result)
{
    if (!cimages_load()) return CIMAGES_NO_LIBRARY;
    const char *loader = vips.foreign_find_load(input);
    enum cimages_format source = loader ? format_of(loader) : CIMAGES_ORIGIN;
    if (source == CIMAGES_ORIGIN) return CIMAGES_UNREADABLE;
    // Opening reads the head alone: what is too large is never decoded.
    VipsImage *image = vips.image_new_from_file(input, (char *)NULL);
    if (!image) return CIMAGES_UNREADABLE;
    long width = vips.image_get_width(image), height = vips.image_get_height(image);
    int pages = vips.image_get_n_pages(image);
    if (width <= 0 || height <= 0 || width > request->max_pixels / height
        || (pages > 1 && width * height > request->max_pixels / pages)) {
        vips.object_unref(image);
        return CIMAGES_TOO_LARGE;
    }
    if (vips.image_get_orientation(image) >= 5) {
        long turned = width;
        width = height;
        height = turned;
    }
    enum cimages_status status = resize(input, &image, request, (int)width, (int)height);
    result->format = request->format == CIMAGES_ORIGIN ? source : request->format;
    if (status == CIMAGES_OK) {
        char pattern[4096], path[4096];
        int length = snprintf(pattern, sizeof pattern, "%s%s", "%s", suffix_of(result->format));
        if (length < 0 || strlen(output) > 3900) {
            status = CIMAGES_FAILED;
        } else {
            snprintf(path, sizeof path, pattern, output, request->quality);
            result->width = vips.image_get_width(image);
            result->height = vips.image_get_height(image);
            if (vips.image_write_to_file(image, path, (char *)NULL) != 0) status = CIMAGES_FAILED;
        }
    }
    vips.object_unref(image);
    return status;
}

int cimages_limit(size_t memory, unsigned seconds, size_t file_size) {
    struct rlimit space = {memory, memory}, processor = {seconds, seconds + 1}, file = {file_size, file_size};
    struct rlimit core = {0, 0}, files = {64, 64};
    return setrlimit(RLIMIT_AS, &space) == 0 && setrlimit(RLIMIT_CPU, &processor) == 0
        && setrlimit(RLIMIT_FSIZE, &file) == 0 && setrlimit(RLIMIT_CORE, &core) == 0
        && setrlimit(RLIMIT_NOFILE, &files) == 0;
}
