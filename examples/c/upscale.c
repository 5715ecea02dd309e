/* Video file to video file from C: a pipeline with the srfusion element, which is found as any other.
 *
 *     cc upscale.c -o upscale $(pkg-config --cflags --libs gstreamer-1.0)
 *     ./upscale INPUT OUTPUT.mp4
 *
 * GStreamer must find the plugin: install it, or set GST_PLUGIN_PATH to the folder of libgstsrfusion.so.
 */
#include <gst/gst.h>

static const char *DESCRIPTION =
    "filesrc name=input ! decodebin ! srfusion name=upscaler "
    "! x264enc pass=qual quantizer=18 vbv-buf-capacity=0 bframes=0 ! h264parse ! mp4mux ! filesink name=output";

/* Sets a property of a named element: a path inside a description would need quoting. */
static void set_location(GstElement *pipeline, const char *name, const char *path) {
    GstElement *element = gst_bin_get_by_name(GST_BIN(pipeline), name);
    g_object_set(element, "location", path, NULL);
    gst_object_unref(element);
}

/* Prints the element's counters. */
static void print_stats(GstElement *pipeline) {
    GstElement *upscaler = gst_bin_get_by_name(GST_BIN(pipeline), "upscaler");
    GstStructure *stats = NULL;
    g_object_get(upscaler, "stats", &stats, NULL);
    gchar *text = gst_structure_to_string(stats);
    g_print("%s\n", text);
    g_free(text);
    gst_structure_free(stats);
    gst_object_unref(upscaler);
}

int main(int argc, char **argv) {
    gst_init(&argc, &argv);
    if (argc != 3) {
        g_printerr("usage: upscale INPUT OUTPUT.mp4\n");
        return 2;
    }
    GError *error = NULL;
    GstElement *pipeline = gst_parse_launch(DESCRIPTION, &error);
    if (error != NULL) {
        g_printerr("upscale: %s\n", error->message);
        g_error_free(error);
        return 1;
    }
    set_location(pipeline, "input", argv[1]);
    set_location(pipeline, "output", argv[2]);

    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    GstBus *bus = gst_element_get_bus(pipeline);
    GstMessage *message = gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    int status = 0;
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
        gst_message_parse_error(message, &error, NULL);
        g_printerr("upscale: %s\n", error->message);
        g_error_free(error);
        status = 1;
    } else {
        print_stats(pipeline);
    }
    gst_message_unref(message);
    gst_object_unref(bus);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
    return status;
}
