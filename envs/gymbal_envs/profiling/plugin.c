/* QEMU plugin: exact or sampled LRU stack distances of a program's data references.
 *
 * For qemu-x86_64 -plugin; tracer.py compiles and starts it and reads what it writes:
 *   counts   JSON: totals and histograms of stack distances for pages and for lines
 *   windows  one line per million references, written as they happen: references, instructions,
 *            pages touched and pages written in the window, pages touched so far
 *   record   64-byte line numbers of references as they come, 8 bytes each, little endian
 * Arguments, all key=value: counts, windows, record (paths), max, record_max, record_skip
 * (references), shift (lines are sampled at 2^-shift), curves (0: only record).
 *
 * Stack distance of a reference: the number of different blocks since the last use of its own. A
 * block's last use is a time, a Fenwick tree counts the times that are somebody's last use (Bennett
 * and Kruskal 1975), and the times are renumbered when they run out. Sampling by a hash of the
 * block's number is SHARDS (Waldspurger et al., FAST 2015).
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The few entry points of QEMU's plugin API that this needs, the same in all its versions: Debian
 * ships qemu-plugin.h in no package. */
typedef uint64_t plugin_id;
typedef uint32_t access_info;
struct translation_block;
struct instruction;
typedef void (*access_callback)(unsigned, access_info, uint64_t, void *);
typedef void (*block_callback)(unsigned, void *);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id,
                                           void (*)(plugin_id, struct translation_block *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct translation_block *, block_callback, int, void *);
void qemu_plugin_register_vcpu_mem_cb(struct instruction *, access_callback, int, int, void *);
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct translation_block *);
struct instruction *qemu_plugin_tb_get_insn(const struct translation_block *, size_t);
_Bool qemu_plugin_mem_is_store(access_info);
enum { NO_REGISTERS = 0, LOADS_AND_STORES = 3 };

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = PLUGIN_API; /* given by tracer.py: QEMU refuses old ones */

/* ---- an LRU stack of blocks ---- */

#define SUB_BITS 6 /* distances below 64 are exact, beyond there are 64 bins per octave */
#define NUM_BINS ((64 - SUB_BITS + 1) << SUB_BITS)
#define NO_BLOCK UINT64_MAX

struct stack {
    uint64_t *keys; /* hash table, open addressing: block -> id + 1, 0 where empty */
    uint32_t *ids;
    uint64_t slots;
    uint32_t *last; /* by id: time of its last use */
    uint32_t num_blocks, room;
    uint32_t *owner; /* by time: id + 1 whose last use this is, 0 where it was used again */
    uint32_t *tree;  /* Fenwick tree over owner != 0 */
    uint32_t now, times;
    uint64_t references, repeats, cold, histogram[NUM_BINS];
    uint64_t previous;
    uint32_t previous_id;
    int shift;
};

static void *zeros(uint64_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory) {
        fprintf(stderr, "gymbal tracer: out of memory\n");
        _exit(99);
    }
    return memory;
}

static uint64_t mixed(uint64_t x) /* murmur3's finaliser */
{
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdULL;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ULL;
    return x ^ (x >> 33);
}

static void start_stack(struct stack *s, int shift)
{
    s->slots = 1 << 12;
    s->keys = zeros(s->slots, sizeof *s->keys);
    s->ids = zeros(s->slots, sizeof *s->ids);
    s->room = 1 << 10;
    s->last = zeros(s->room, sizeof *s->last);
    s->times = 1 << 16;
    s->owner = zeros(s->times + 1ULL, sizeof *s->owner);
    s->tree = zeros(s->times + 1ULL, sizeof *s->tree);
    s->previous = NO_BLOCK;
    s->shift = shift;
}

static void grow_table(struct stack *s)
{
    uint64_t old_slots = s->slots, *old_keys = s->keys;
    uint32_t *old_ids = s->ids;
    s->slots *= 4;
    s->keys = zeros(s->slots, sizeof *s->keys);
    s->ids = zeros(s->slots, sizeof *s->ids);
    for (uint64_t i = 0; i < old_slots; i++) {
        if (!old_ids[i])
            continue;
        uint64_t at = mixed(old_keys[i]) & (s->slots - 1);
        while (s->ids[at])
            at = (at + 1) & (s->slots - 1);
        s->keys[at] = old_keys[i];
        s->ids[at] = old_ids[i];
    }
    free(old_keys);
    free(old_ids);
}

/* The block's id; ids are given in order of first use. */
static uint32_t find(struct stack *s, uint64_t block, uint64_t hash)
{
    uint64_t at = hash & (s->slots - 1);
    while (s->ids[at] && s->keys[at] != block)
        at = (at + 1) & (s->slots - 1);
    if (s->ids[at])
        return s->ids[at] - 1;
    if (s->num_blocks == s->room) {
        s->room *= 2;
        s->last = realloc(s->last, s->room * sizeof *s->last);
        if (!s->last)
            _exit(99);
    }
    s->last[s->num_blocks] = 0;
    s->keys[at] = block;
    s->ids[at] = ++s->num_blocks;
    if (s->num_blocks > s->slots / 2)
        grow_table(s);
    return s->num_blocks - 1;
}

static void add(struct stack *s, uint32_t time, uint32_t amount)
{
    for (; time <= s->times; time += time & -time)
        s->tree[time] += amount;
}

static uint32_t used_until(const struct stack *s, uint32_t time)
{
    uint32_t sum = 0;
    for (; time; time -= time & -time)
        sum += s->tree[time];
    return sum;
}

/* Renumber the times that still count to 1, 2, ..., in order. */
static void compact(struct stack *s)
{
    uint32_t live = 0;
    for (uint32_t time = 1; time <= s->times; time++) {
        uint32_t id = s->owner[time];
        if (id) {
            s->owner[++live] = id;
            s->last[id - 1] = live;
        }
    }
    if (live > s->times / 2) {
        s->times = live * 4;
        s->owner = realloc(s->owner, (s->times + 1ULL) * sizeof *s->owner);
        free(s->tree);
        s->tree = zeros(s->times + 1ULL, sizeof *s->tree);
        if (!s->owner)
            _exit(99);
    }
    for (uint32_t time = 1; time <= s->times; time++) {
        s->owner[time] = time <= live ? s->owner[time] : 0;
        s->tree[time] = time <= live;
    }
    for (uint32_t time = 1; time <= s->times; time++) {
        uint64_t parent = time + (uint64_t)(time & -time);
        if (parent <= s->times)
            s->tree[parent] += s->tree[time];
    }
    s->now = live;
}

static int bin_of(uint64_t distance)
{
    if (distance < 1 << SUB_BITS)
        return distance;
    int octave = 63 - __builtin_clzll(distance) - SUB_BITS;
    return ((octave + 1) << SUB_BITS) + ((distance >> octave) & ((1 << SUB_BITS) - 1));
}

static uint64_t low_of(int bin)
{
    int octave = (bin >> SUB_BITS) - 1;
    if (octave < 0)
        return bin;
    return ((1ULL << SUB_BITS) | (bin & ((1 << SUB_BITS) - 1))) << octave;
}

/* Count a reference; returns the block's id, or that of an earlier one where it is not sampled. */
static uint32_t refer(struct stack *s, uint64_t block)
{
    s->references++;
    if (block == s->previous) {
        s->repeats++;
        return s->previous_id;
    }
    s->previous = block;
    uint64_t hash = mixed(block);
    if (s->shift && hash >> (64 - s->shift))
        return s->previous_id;
    uint32_t known = s->num_blocks, id = find(s, block, hash);
    if (s->now == s->times)
        compact(s);
    if (id < known) {
        uint32_t last = s->last[id];
        s->histogram[bin_of(s->num_blocks - used_until(s, last))]++;
        s->owner[last] = 0;
        add(s, last, -1);
    } else {
        s->cold++;
    }
    s->last[id] = ++s->now;
    s->owner[s->now] = id + 1;
    add(s, s->now, 1);
    return s->previous_id = id;
}

/* ---- the program under the tracer ---- */

#define WINDOW 1000000 /* references */
#define BUFFERED (1 << 16)

static struct stack pages, lines;
static uint64_t instructions, references, stores;
static uint64_t max_references = UINT64_MAX, record_max, record_skip;
static uint64_t buffer[BUFFERED], num_buffered, num_recorded;
static uint32_t *touched, *written, window = 1; /* by page id: window of the last touch, write */
static uint32_t num_marked, num_touched, num_written;
static const char *counts_path;
static FILE *windows_file, *record_file;
static struct timespec began;
static int shift = 4, curves = 1;
static volatile int finished, locked;

static void close_window(void)
{
    if (windows_file) {
        fprintf(windows_file, "%llu %llu %u %u %u\n", (unsigned long long)references,
                (unsigned long long)instructions, num_touched, num_written, pages.num_blocks);
        fflush(windows_file);
    }
    num_touched = num_written = 0;
    window++;
}

static void mark(uint32_t page, int store)
{
    if (page >= num_marked) {
        uint32_t more = pages.room - num_marked;
        touched = realloc(touched, pages.room * sizeof *touched);
        written = realloc(written, pages.room * sizeof *written);
        if (!touched || !written)
            _exit(99);
        memset(touched + num_marked, 0, more * sizeof *touched);
        memset(written + num_marked, 0, more * sizeof *written);
        num_marked = pages.room;
    }
    num_touched += touched[page] != window;
    touched[page] = window;
    if (store) {
        num_written += written[page] != window;
        written[page] = window;
    }
}

static void record(uint64_t line)
{
    buffer[num_buffered++] = line;
    num_recorded++;
    if (num_buffered == BUFFERED || num_recorded == record_max) {
        fwrite(buffer, sizeof *buffer, num_buffered, record_file);
        num_buffered = 0;
    }
}

static void write_stack(FILE *file, const char *name, const struct stack *s)
{
    const char *separator = "";
    fprintf(file, ",\n\"%s\": {\"references\": %llu, \"repeats\": %llu, \"cold\": %llu, ", name,
            (unsigned long long)s->references, (unsigned long long)s->repeats,
            (unsigned long long)s->cold);
    fprintf(file, "\"blocks\": %u, \"shift\": %d, \"histogram\": [", s->num_blocks, s->shift);
    for (int bin = 0; bin < NUM_BINS; bin++) {
        if (!s->histogram[bin])
            continue;
        fprintf(file, "%s[%llu, %llu, %llu]", separator, (unsigned long long)low_of(bin),
                (unsigned long long)low_of(bin + 1), (unsigned long long)s->histogram[bin]);
        separator = ", ";
    }
    fprintf(file, "]}");
}

static void finish(int stopped)
{
    if (finished)
        return;
    finished = 1;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (references % WINDOW)
        close_window();
    if (record_file) {
        fwrite(buffer, sizeof *buffer, num_buffered, record_file);
        fclose(record_file);
    }
    FILE *file = fopen(counts_path, "w");
    if (!file)
        return;
    fprintf(file, "{\"instructions\": %llu, \"references\": %llu, \"stores\": %llu, ",
            (unsigned long long)instructions, (unsigned long long)references,
            (unsigned long long)stores);
    fprintf(file, "\"recorded\": %llu, \"stopped\": %d, \"seconds\": %.3f",
            (unsigned long long)num_recorded, stopped,
            now.tv_sec - began.tv_sec + 1e-9 * (now.tv_nsec - began.tv_nsec));
    write_stack(file, "page", &pages);
    write_stack(file, "line", &lines);
    fprintf(file, "}\n");
    fclose(file);
}

/* Threads of the program call at the same time. */
static void on_access(unsigned vcpu, access_info info, uint64_t address, void *unused)
{
    (void)vcpu, (void)unused;
    while (__atomic_exchange_n(&locked, 1, __ATOMIC_ACQUIRE))
        sched_yield();
    if (!finished) {
        int store = qemu_plugin_mem_is_store(info);
        references++;
        stores += store;
        if (num_recorded < record_max && references > record_skip)
            record(address >> 6);
        if (curves) {
            refer(&lines, address >> 6);
            mark(refer(&pages, address >> 12), store);
        }
        if (references % WINDOW == 0)
            close_window();
        if (references >= max_references) {
            finish(1);
            _exit(0);
        }
    }
    __atomic_store_n(&locked, 0, __ATOMIC_RELEASE);
}

static void on_block(unsigned vcpu, void *num_instructions)
{
    (void)vcpu;
    __atomic_fetch_add(&instructions, (uint64_t)(uintptr_t)num_instructions, __ATOMIC_RELAXED);
}

static void on_translation(plugin_id id, struct translation_block *block)
{
    (void)id;
    size_t count = qemu_plugin_tb_n_insns(block);
    qemu_plugin_register_vcpu_tb_exec_cb(block, on_block, NO_REGISTERS, (void *)(uintptr_t)count);
    for (size_t i = 0; i < count; i++)
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(block, i), on_access,
                                         NO_REGISTERS, LOADS_AND_STORES, NULL);
}

static void on_exit_of_program(plugin_id id, void *unused)
{
    (void)id, (void)unused;
    finish(0);
}

/* A child is another program: it is not measured, and must not write over the parent's files. */
static void in_child(void)
{
    finished = 1;
    locked = 0;
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value)
            return -1;
        *value++ = '\0';
        const char *key = argv[i];
        if (!strcmp(key, "counts"))
            counts_path = strdup(value);
        else if (!strcmp(key, "windows"))
            windows_file = fopen(value, "w");
        else if (!strcmp(key, "record"))
            record_file = fopen(value, "wb");
        else if (!strcmp(key, "max"))
            max_references = strtoull(value, NULL, 10);
        else if (!strcmp(key, "record_max"))
            record_max = strtoull(value, NULL, 10);
        else if (!strcmp(key, "record_skip"))
            record_skip = strtoull(value, NULL, 10);
        else if (!strcmp(key, "shift"))
            shift = atoi(value);
        else if (!strcmp(key, "curves"))
            curves = atoi(value);
        else
            return -1;
    }
    if (!counts_path || (record_max && !record_file))
        return -1;
    start_stack(&pages, 0);
    start_stack(&lines, shift);
    clock_gettime(CLOCK_MONOTONIC, &began);
    pthread_atfork(NULL, NULL, in_child);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_of_program, NULL);
    return 0;
}
