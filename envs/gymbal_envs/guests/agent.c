/* The program of a test guest.
 *
 * A worker touches pages of its working set at a commanded rate; its parent answers orders on a
 * terminal, one a line, each with one line of JSON. The parent's own pages are locked and it is
 * never OOM-killed, so it still answers where the worker waits for pages or was killed.
 *
 * The worker keeps the LRU stack distances of every SAMPLE-th page, as a histogram monitor of the
 * hypervisor would (spatial sampling: Waldspurger et al., FAST 2015). It knows the number of its
 * writes to each page, so a page that migration or swap lost is found.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, MAX_PAGES = 1 << 17, SAMPLE = 8, BINS = 128, BIN_PAGES = 512 };
enum { SLOTS = 1 << 16, BATCH = 32 };

/* What parent and worker share. Orders are written by the parent only, the rest by the worker. */
struct shared {
  volatile uint32_t pages;  /* order: size of the working set */
  volatile double rate;     /* order: touches per second */
  volatile double skew;     /* order: page = pages * u^skew for uniform u; 1 is uniform */
  volatile uint32_t checks; /* order: number of checks wanted so far */
  volatile uint32_t checks_done, bad_pages;
  volatile uint64_t touched, faults; /* faults: touches that had to wait for the disk */
  volatile double fault_s;           /* time that they waited */
  volatile uint64_t distances[BINS + 1]; /* hits by stack distance; the last are first touches */
  float touched_at[MAX_PAGES];           /* s, of sampled pages; 0 is never */
  uint32_t writes[MAX_PAGES];
};

static struct shared *shared;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_bits(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  return random_state ^= random_state << 17;
}

/* Stack distances: a Fenwick tree over points in time, one mark at each page's last touch. */
static int32_t marks[SLOTS + 1];
static uint32_t page_at[SLOTS], slot_of[MAX_PAGES], last_slot, num_marks;

static void add_mark(uint32_t slot, int value) {
  num_marks += value;
  for (; slot <= SLOTS; slot += slot & -slot) marks[slot] += value;
}

static uint32_t marks_until(uint32_t slot) {
  int32_t sum = 0;
  for (; slot; slot &= slot - 1) sum += marks[slot];
  return sum;
}

static void forget(uint32_t page) {
  if (slot_of[page]) add_mark(slot_of[page], -1);
  slot_of[page] = 0;
}

static void renumber(void) { /* time has run out: number the marks from 1 again, in order */
  static uint32_t order[SLOTS];
  uint32_t count = 0;
  for (uint32_t slot = 1; slot < SLOTS; slot++) {
    uint32_t page = page_at[slot];
    if (slot_of[page] == slot) order[count++] = page;
  }
  memset(marks, 0, sizeof marks);
  num_marks = 0;
  for (last_slot = 0; last_slot < count;) {
    uint32_t page = order[last_slot++];
    page_at[last_slot] = page;
    slot_of[page] = last_slot;
    add_mark(last_slot, 1);
  }
}

static void record_touch(uint32_t page, double time) {
  if ((page * 2654435761u) >> 29) return; /* one in SAMPLE, by hash */
  uint32_t bin = BINS;
  if (slot_of[page]) {
    bin = (num_marks - marks_until(slot_of[page])) * SAMPLE / BIN_PAGES;
    if (bin >= BINS) bin = BINS - 1;
  }
  shared->distances[bin] += SAMPLE;
  forget(page);
  if (last_slot == SLOTS - 1) renumber();
  page_at[++last_slot] = page;
  slot_of[page] = last_slot;
  add_mark(last_slot, 1);
  shared->touched_at[page] = (float)time;
}

static void resize(char *memory, uint32_t from, uint32_t to) {
  if (to >= from) return;
  madvise(memory + (size_t)to * PAGE, (size_t)(from - to) * PAGE, MADV_DONTNEED);
  for (uint32_t page = to; page < from; page++) {
    forget(page);
    shared->writes[page] = 0;
    shared->touched_at[page] = 0;
  }
}

static void check(char *memory, uint32_t pages) {
  uint32_t bad = 0;
  for (uint32_t page = 0; page < pages; page++)
    bad += *(volatile uint32_t *)(memory + (size_t)page * PAGE) != shared->writes[page];
  shared->bad_pages = bad;
  shared->checks_done = shared->checks;
}

static void touch(char *memory, uint32_t page) {
  volatile uint32_t *words = (volatile uint32_t *)(memory + (size_t)page * PAGE);
  words[1 + random_bits() % (PAGE / 4 - 1)] = (uint32_t)random_bits();
  words[0] = ++shared->writes[page];
}

static long major_faults(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_majflt;
}

static void work(void) {
  if (mlockall(MCL_CURRENT)) _exit(1); /* the books, not the working set, which comes now */
  char *memory = mmap(0, (size_t)MAX_PAGES * PAGE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) _exit(1);
  madvise(memory, (size_t)MAX_PAGES * PAGE, MADV_NOHUGEPAGE);
  for (uint32_t page = 0; page < MAX_PAGES; page++) shared->writes[page] = 0;
  double last = now(), credit = 0;
  uint32_t pages = 0;
  for (;;) {
    if (pages != shared->pages) {
      uint32_t wanted = shared->pages;
      resize(memory, pages, wanted);
      pages = wanted;
    }
    if (shared->checks_done != shared->checks) check(memory, pages);
    double time = now(), rate = pages ? shared->rate : 0;
    credit += (time - last) * rate;
    last = time;
    if (credit > BATCH + 0.02 * rate) credit = BATCH + 0.02 * rate; /* what is missed stays so */
    int count = credit > BATCH ? BATCH : (int)credit;
    if (count < 1 || (count < BATCH && rate > 2 * BATCH)) {
      usleep(2000);
      if (count < 1) continue;
    }
    credit -= count;
    long faults = major_faults();
    double begun = now();
    for (int i = 0; i < count; i++) {
      double u = (random_bits() >> 11) * 0x1p-53;
      uint32_t page = (uint32_t)(pages * (shared->skew == 1 ? u : pow(u, shared->skew)));
      touch(memory, page);
      record_touch(page, time);
      shared->touched++;
    }
    faults = major_faults() - faults;
    shared->faults += faults;
    if (faults) shared->fault_s += now() - begun; /* next to it the touches themselves are nothing */
  }
}

static int terminal;

static void answer(const char *format, ...) {
  static char line[8192];
  va_list arguments;
  va_start(arguments, format);
  int size = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  for (int sent = 0; sent < size;) {
    ssize_t wrote = write(terminal, line + sent, size - sent);
    if (wrote <= 0) return;
    sent += wrote;
  }
}

/* The number after a key in a file of the kernel, such as "SwapFree:" in /proc/meminfo. */
static double number_in(const char *path, const char *key) {
  char text[16384];
  int file = open(path, O_RDONLY);
  if (file < 0) return -1;
  ssize_t size = read(file, text, sizeof text - 1);
  close(file);
  if (size <= 0) return -1;
  text[size] = 0;
  for (char *at = text; (at = strstr(at, key)); at++)
    if (at == text || at[-1] == '\n' || at[-1] == ' ') return strtod(at + strlen(key), 0);
  return -1;
}

static double wanted_touches; /* integral of the commanded rate */
static double wanted_since;
static unsigned kills;

static void count_wanted(void) {
  double time = now();
  if (shared->pages) wanted_touches += shared->rate * (time - wanted_since);
  wanted_since = time;
}

static void report(double window_s) {
  static char text[BINS * 12];
  int size = 0;
  for (int bin = 0; bin <= BINS; bin++)
    size += snprintf(text + size, sizeof text - size, bin ? ",%llu" : "%llu",
                     (unsigned long long)shared->distances[bin]);
  unsigned active = 0;
  double time = now();
  for (uint32_t page = 0; page < shared->pages; page++)
    active += shared->touched_at[page] > 0 && shared->touched_at[page] > time - window_s;
  count_wanted();
  answer("{\"time_s\":%.3f,\"touched\":%llu,\"wanted\":%.0f,\"pages\":%u,\"active_pages\":%u,"
         "\"stalled_us\":%.0f,\"swap_total_kib\":%.0f,\"swap_free_kib\":%.0f,"
         "\"available_kib\":%.0f,\"total_kib\":%.0f,\"anonymous_kib\":%.0f,"
         "\"swapped_in_pages\":%.0f,\"swapped_out_pages\":%.0f,\"major_faults\":%.0f,"
         "\"oom_kills\":%.0f,\"worker_kills\":%u,\"faults\":%llu,\"fault_s\":%.6f,"
         "\"distances\":[%s]}\n",
         time, (unsigned long long)shared->touched, wanted_touches, shared->pages,
         active * SAMPLE, number_in("/proc/pressure/memory", "total="),
         number_in("/proc/meminfo", "SwapTotal:"), number_in("/proc/meminfo", "SwapFree:"),
         number_in("/proc/meminfo", "MemAvailable:"), number_in("/proc/meminfo", "MemTotal:"),
         number_in("/proc/meminfo", "AnonPages:"), number_in("/proc/vmstat", "pswpin "),
         number_in("/proc/vmstat", "pswpout "), number_in("/proc/vmstat", "pgmajfault "),
         number_in("/proc/vmstat", "oom_kill "), kills,
         (unsigned long long)shared->faults, shared->fault_s, text);
}

static pid_t worker;

static void offer_to_oom_killer(const char *score) {
  int file = open("/proc/self/oom_score_adj", O_WRONLY);
  if (file < 0 || write(file, score, strlen(score)) < 0) _exit(1);
  close(file);
}

static void start_worker(void) {
  worker = fork();
  if (worker) return;
  offer_to_oom_killer("1000");
  work();
}

static void verify(void) {
  uint32_t wanted = ++shared->checks;
  while (shared->checks_done != wanted && waitpid(worker, 0, WNOHANG) == 0) usleep(5000);
  answer("{\"pages\":%u,\"bad\":%u,\"finished\":%s}\n", shared->pages, shared->bad_pages,
         shared->checks_done == wanted ? "true" : "false");
}

static void obey(char *line) {
  char order[16] = "";
  double a = 0, b = 0, c = 1;
  int count = sscanf(line, "%15s %lf %lf %lf", order, &a, &b, &c);
  if (count < 1) return;
  if (!strcmp(order, "work")) { /* work PAGES RATE [SKEW] */
    count_wanted();
    shared->pages = a < 0 ? 0 : a > MAX_PAGES ? MAX_PAGES : (uint32_t)a;
    shared->rate = b;
    shared->skew = c;
    answer("{\"ok\":true}\n");
  } else if (!strcmp(order, "report")) { /* report ACTIVE_WINDOW_S */
    report(a);
  } else if (!strcmp(order, "ping")) { /* ping NUMBER */
    answer("{\"pong\":%.0f}\n", a);
  } else if (!strcmp(order, "check")) {
    verify();
  } else if (!strcmp(order, "poweroff")) {
    answer("{\"ok\":true}\n");
    reboot(RB_POWER_OFF);
  } else {
    answer("{\"error\":\"no such order\"}\n");
  }
}

int main(int count, char **arguments) {
  terminal = open(count > 1 ? arguments[1] : "/dev/ttyS1", O_RDWR | O_NOCTTY);
  if (terminal < 0) return 1;
  struct termios modes;
  if (!tcgetattr(terminal, &modes)) {
    cfmakeraw(&modes);
    tcsetattr(terminal, TCSANOW, &modes);
  }
  shared = mmap(0, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED || mlockall(MCL_CURRENT)) return 1;
  shared->skew = 1;
  offer_to_oom_killer("-1000");
  wanted_since = now();
  start_worker();
  char line[256];
  size_t size = 0;
  for (;;) {
    struct pollfd ready = {terminal, POLLIN, 0};
    int events = poll(&ready, 1, 200);
    if (waitpid(worker, 0, WNOHANG) == worker) { /* killed: begin again, as a service would */
      kills++;
      start_worker();
    }
    char byte;
    if (events <= 0 || read(terminal, &byte, 1) != 1) continue;
    if (byte == '\n') {
      line[size] = 0;
      size = 0;
      obey(line);
    } else if (size < sizeof line - 1) {
      line[size++] = byte;
    }
  }
}
