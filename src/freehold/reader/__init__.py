"""What reads strangers' bytes for the daemon: pages, mails, calendars, databases become plain data here.

Each is a process of its own behind walls, without network or secret (``python -m freehold.reader WHAT``). It gets the
bytes on standard input and answers on standard output, once; what it says is a stranger's word.
"""
