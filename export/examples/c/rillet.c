/* Streaming speech recognition in C: a rillet model and onnxruntime's C API.
 *
 *     arecord -q -t raw -f S16_LE -r 16000 | ./rillet en.onnx
 *
 * Standard input: 16-bit mono samples at the model's rate, as WAV or alone. Standard output: each word once its end was
 * heard (greedy CTC: the likeliest token of each frame, repeats merged, blanks dropped). All sizes, and the tokens, are
 * read from the model. One step takes always the same time, and the memory never grows.
 */
#include <onnxruntime_c_api.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API 17 /* onnxruntime 1.17, the oldest that runs the models */
#define MOST_TOKENS 64 /* of a word; noise without an end is cut here, as rillet does it */

static const OrtApi *ort;
static OrtAllocator *allocator;
static OrtModelMetadata *about; /* what the model says about itself */

static void fail(const char *what, const char *why) {
    fflush(stdout);
    fprintf(stderr, "rillet: %s: %s\n", what, why);
    exit(2);
}

static void check(OrtStatus *status) { if (status) fail("onnxruntime", ort->GetErrorMessage(status)); }

static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    if (!memory) fail("memory", "there is not enough");
    return memory;
}

/* ---- Metadata ---------------------------------------------------------------------------------------------------- */

static char *entry(const char *key) {
    char *value = NULL;
    check(ort->ModelMetadataLookupCustomMetadataMap(about, allocator, key, &value));
    if (!value) fail(key, "the model's metadata lacks this; use a file written by `rillet export`");
    return value;
}

static int64_t number(const char *key) { return strtoll(entry(key), NULL, 10); }

/* Four hexadecimal digits to UTF-8; *from ends behind them. */
static char *unescape(char **from, char *to) {
    unsigned code;
    if (sscanf(*from, "%4x", &code) != 1 || code >> 11 == 0xD800 >> 11) fail("rillet.tokens", "an escape is not known");
    *from += 4;
    if (code < 0x80) return *to = (char)code, to + 1;
    if (code >= 0x800) *to++ = (char)(0xE0 | code >> 12);
    *to++ = (char)(code < 0x800 ? 0xC0 | code >> 6 : 0x80 | (code >> 6 & 0x3F));
    return *to = (char)(0x80 | (code & 0x3F)), to + 1;
}

/* The strings of a JSON list, rewritten in place. */
static char **strings(char *json, int64_t *count) {
    char **items = allocate(strlen(json) / 2 + 1, sizeof *items); /* each has two quotation marks */
    for (*count = 0; (json = strchr(json, '"')); ++*count) {
        char *to = items[*count] = ++json;
        while (*json && *json != '"') {
            if (*json == '\\' && json[1] == 'u') {
                json += 2, to = unescape(&json, to);
            } else {
                json += *json == '\\' && json[1];
                *to++ = *json++;
            }
        }
        json += *json == '"';
        *to = 0;
    }
    return items;
}

/* ---- Sound ------------------------------------------------------------------------------------------------------- */

static unsigned char head[12]; /* of the input: the beginning of a WAV file, or samples */
static size_t head_bytes;
static uint64_t sound_bytes = UINT64_MAX; /* that are still to come */

static uint32_t little(const unsigned char *bytes, int count) {
    return bytes[0] | (uint32_t)bytes[1] << 8 | (count == 4 ? (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24 : 0);
}

/* Reads up to the samples, and checks what the header says about them. */
static void begin_sound(int64_t rate_hz) {
    head_bytes = fread(head, 1, sizeof head, stdin);
    if (head_bytes < sizeof head || memcmp(head, "RIFF", 4) || memcmp(head + 8, "WAVE", 4)) return;
    head_bytes = 0;
    unsigned char chunk[8], format[16] = {0};
    while (fread(chunk, 1, sizeof chunk, stdin) == sizeof chunk && memcmp(chunk, "data", 4)) {
        uint32_t size = little(chunk + 4, 4) + (chunk[4] & 1), read = 0; /* chunks begin at even places */
        if (!memcmp(chunk, "fmt ", 4)) read = (uint32_t)fread(format, 1, sizeof format, stdin);
        while (read < size && getchar() != EOF) read++;
    }
    int pcm = little(format, 2) == 1 || little(format, 2) == 0xFFFE; /* which says at more length that it is PCM */
    if (!pcm || little(format + 2, 2) != 1 || little(format + 14, 2) != 16)
        fail("standard input", "the WAV must have one channel of 16-bit samples");
    if (little(format + 4, 4) != rate_hz) fail("standard input", "the WAV has not the model's sample rate");
    uint32_t size = little(chunk + 4, 4); /* who writes into a pipe does not know it */
    if (size && size < 0xFFFFFF00) sound_bytes = size;
}

/* The next samples, silence behind the last; returns how many were there. */
static int64_t next_sound(float *samples, int64_t count) {
    unsigned char *bytes = (unsigned char *)samples + 2 * count; /* the second half, from which none is lost */
    size_t wanted = (size_t)count * 2, got = head_bytes < wanted ? head_bytes : wanted;
    if (sound_bytes < wanted) wanted = (size_t)sound_bytes;
    memcpy(bytes, head, got);
    head_bytes = 0;
    if (got < wanted) got += fread(bytes + got, 1, wanted - got, stdin);
    sound_bytes -= got;
    for (int64_t i = 0; i < count; i++)
        samples[i] = (size_t)i < got / 2 ? (int16_t)little(bytes + 2 * i, 2) / 32768.0f : 0.0f;
    return (int64_t)(got / 2);
}

/* ---- Words ------------------------------------------------------------------------------------------------------- */

static char word[4096];     /* not finished yet */
static int spelled, words;  /* tokens in it; words before it */

static void end_word(void) {
    if (word[0]) printf("%s%s", words++ ? " " : "", word);
    fflush(stdout);
    spelled = word[0] = 0;
}

static void spell(const char *token) {
    for (const char *at = token; *at; at++) {
        if (*at == ' ' || strlen(word) + 2 > sizeof word) end_word();
        if (*at == ' ') continue;
        spelled += at == token || at[-1] == ' ';
        strncat(word, at, 1);
    }
    if (spelled == MOST_TOKENS) end_word();
}

/* ---- All together ------------------------------------------------------------------------------------------------ */

static OrtValue *tensor(const OrtMemoryInfo *memory, float **data, int64_t rows, int64_t columns, size_t dimensions) {
    const int64_t shape[] = {1, rows, columns}, flat[] = {1, columns};
    size_t bytes = (size_t)(rows * columns) * sizeof **data;
    OrtValue *value = NULL;
    *data = allocate(bytes, 1);
    check(ort->CreateTensorWithDataAsOrtValue(memory, *data, bytes, dimensions == 3 ? shape : flat, dimensions,
                                              ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value));
    return value;
}

int main(int argc, char **argv) {
    if (argc != 2) fail("how to use it", "rillet MODEL.onnx < SOUND.wav");
    if (!(ort = OrtGetApiBase()->GetApi(API))) fail("onnxruntime", "this version is too old; take 1.17 or later");
    OrtEnv *env; OrtSessionOptions *options; OrtSession *session; OrtMemoryInfo *memory;
    check(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "rillet", &env));
    check(ort->CreateSessionOptions(&options));
    check(ort->SetIntraOpNumThreads(options, 1)); /* a small recurrent model is fastest with one */
    check(ort->CreateSession(env, argv[1], options, &session));
    check(ort->GetAllocatorWithDefaultOptions(&allocator));
    check(ort->SessionGetModelMetadata(session, &about));
    check(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));

    if (strcmp(entry("rillet.format_version"), "1")) fail(argv[1], "another version of the format; this reads 1");
    int64_t frame = number("rillet.samples_per_frame"), frames = number("rillet.step_frames"), tokens;
    int64_t look_ahead = number("rillet.look_ahead_frames"), state_size = number("rillet.state_size");
    char **text = strings(entry("rillet.tokens"), &tokens);
    OrtTypeInfo *type; const OrtTensorTypeAndShapeInfo *shape; int64_t size[3] = {0};
    check(ort->SessionGetOutputTypeInfo(session, 0, &type));
    check(ort->CastTypeInfoToTensorInfo(type, &shape)), check(ort->GetDimensions(shape, size, 3));
    const int64_t columns = size[2]; /* of log_probs: the tokens, then in some models sounds, which are not used here */
    if (columns < tokens) fail(argv[1], "log_probs has fewer columns than there are tokens");
    float *audio, *log_probs, *states[2];
    OrtValue *in = tensor(memory, &audio, 1, frames * frame, 2), *out = tensor(memory, &log_probs, frames, columns, 3);
    OrtValue *state[2] = {tensor(memory, &states[0], 1, state_size, 2), tensor(memory, &states[1], 1, state_size, 2)};

    begin_sound(number("rillet.sample_rate_hz"));
    int64_t heard = 0, rows = 0, end = INT64_MAX, before = 0; /* samples; frames; frame behind the last; last token */
    for (int turn = 0; rows < end; turn = !turn) {
        int64_t got = next_sound(audio, frames * frame); /* waits for a whole step, or the end */
        heard += got;
        if (got < frames * frame) end = heard ? (heard + frame - 1) / frame + look_ahead : 0;
        if (rows >= end) break;
        const OrtValue *inputs[] = {in, state[turn]};
        OrtValue *outputs[] = {out, state[!turn]}; /* the next state is the next step's state: nothing is copied */
        check(ort->Run(session, NULL, (const char *[]){"audio", "state"}, inputs, 2,
                       (const char *[]){"log_probs", "next_state"}, 2, outputs));
        for (int64_t row = 0; row < frames && rows < end; row++, rows++) {
            const float *scores = log_probs + row * columns;
            int64_t best = 0;
            for (int64_t token = 1; token < tokens; token++) best = scores[token] > scores[best] ? token : best;
            if (rows < look_ahead) continue; /* about the time before the sound */
            if (best && best != before) spell(text[best]);
            before = best;
        }
    }
    end_word();
    return putchar('\n') == EOF;
}
