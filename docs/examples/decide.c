/* A controller in C: asks `gymbal-control serve` what each VM of a host should hold.
 *
 *   gcc -std=c11 -Wall -Wextra -O2 -o decide decide.c
 *   gymbal-control serve --socket /tmp/gymbal.sock --bundle policies/balloon.gymbal &
 *   ./decide /tmp/gymbal.sock
 *
 * It makes up two guests that swap places: while one is busy the other is idle. A real controller
 * fills in `struct guest` from its hypervisor and sets the balloons to what is printed. A program
 * that has a JSON library would use it; this one has none, and needs only numbers by name.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { GUESTS = 2, STEPS = 6, INTERVAL_S = 5 };
static const double GIB = 1073741824.0;

struct guest {
    const char *name;
    double max_bytes, min_bytes;    /* configured */
    double actual_bytes;            /* held now */
    double usable_bytes;            /* MemAvailable in the guest */
    double swap_in_rate, swap_out_rate, swap_used_bytes, major_fault_rate;
    double cpu_cores, steal_frac, psi_some_frac;
};

struct session {
    FILE *out, *in; /* two streams on one socket: C does not let one alternate freely */
};

/* 0, or -1 with errno. */
static int session_open(struct session *session, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return -1;
    session->out = fdopen(fd, "w");
    session->in = fdopen(dup(fd), "r");
    return session->out && session->in ? 0 : -1;
}

/* One line: the host's numbers, then a VM each. What is not measured is left out. */
static void send_record(FILE *out, double time_s, double budget_bytes,
                        const struct guest *guests, int count)
{
    fprintf(out, "{\"time_s\": %.3f, \"age_s\": 0, \"budget_bytes\": %.0f, \"vms\": [", time_s,
            budget_bytes);
    for (int k = 0; k < count; k++) {
        const struct guest *g = &guests[k];
        fprintf(out,
                "%s{\"name\": \"%s\", \"memory_max_bytes\": %.0f, \"memory_min_bytes\": %.0f, "
                "\"actual_bytes\": %.0f, \"usable_bytes\": %.0f, \"swap_in_rate\": %.6g, "
                "\"swap_out_rate\": %.6g, \"swap_used_bytes\": %.0f, \"major_fault_rate\": %.6g, "
                "\"cpu_cores\": %.6g, \"steal_frac\": %.6g, \"psi_some_frac\": %.6g}",
                k ? ", " : "", g->name, g->max_bytes, g->min_bytes, g->actual_bytes,
                g->usable_bytes, g->swap_in_rate, g->swap_out_rate, g->swap_used_bytes,
                g->major_fault_rate, g->cpu_cores, g->steal_frac, g->psi_some_frac);
    }
    fputs("]}\n", out);
    fflush(out);
}

/* The target of a VM in a reply; -1 where it is to be left alone (null). */
static double target_of(const char *reply, const char *name)
{
    char key[300];
    const char *targets = strstr(reply, "\"targets\":{");

    snprintf(key, sizeof key, "\"%s\":", name);
    const char *found = targets ? strstr(targets, key) : NULL;
    if (!found || strncmp(found + strlen(key), "null", 4) == 0)
        return -1.0;
    return strtod(found + strlen(key), NULL);
}

static void live(struct guest *g, int busy)
{
    double need = (busy ? 1.6 : 0.5) * GIB;
    double missing = need > g->actual_bytes ? need - g->actual_bytes : 0.0;

    g->usable_bytes = need < g->actual_bytes ? g->actual_bytes - need : 0.0;
    g->swap_used_bytes = missing;
    g->swap_in_rate = g->swap_out_rate = missing / 20.0;
    g->major_fault_rate = g->swap_in_rate / 4096.0;
    g->psi_some_frac = missing > 0.0 ? 0.3 : 0.0;
    g->cpu_cores = busy ? 0.9 : 0.05;
}

int main(int argc, char **argv)
{
    struct guest guests[GUESTS] = {
        {.name = "north", .max_bytes = 2 * 1073741824.0, .min_bytes = 268435456.0},
        {.name = "south", .max_bytes = 2 * 1073741824.0, .min_bytes = 268435456.0},
    };
    char *reply = NULL;
    size_t size = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: %s SOCKET\n", argv[0]);
        return 2;
    }
    struct session session;
    if (session_open(&session, argv[1]) < 0) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    for (int k = 0; k < GUESTS; k++)
        guests[k].actual_bytes = GIB;
    for (int step = 0; step < STEPS; step++) {
        for (int k = 0; k < GUESTS; k++)
            live(&guests[k], (step < STEPS / 2) == (k == 0));
        send_record(session.out, step * INTERVAL_S, 2.2 * GIB, guests, GUESTS);
        if (getline(&reply, &size, session.in) <= 0 || strncmp(reply, "{\"error\":", 9) == 0) {
            fprintf(stderr, "no decision: %s\n", reply ? reply : "the server is gone");
            return 1;
        }
        for (int k = 0; k < GUESTS; k++) {
            double target = target_of(reply, guests[k].name);
            if (target >= 0.0)
                guests[k].actual_bytes = target; /* these guests obey at once */
            printf("%d %s %.0f\n", step, guests[k].name, guests[k].actual_bytes);
        }
    }
    free(reply);
    fclose(session.in);
    fclose(session.out);
    return 0;
}
