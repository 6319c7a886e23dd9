"""How the programs of a client are started, asked for an IPsec SA, and ended; scripts for a node."""


def swanctl(give_up):
    """charon with swanctl. ChromeOS gives up after 30 s."""
    return f"""
        /usr/lib/ipsec/charon >/var/log/charon.out 2>&1 </dev/null &
        for i in {{1..300}}; do [ -S /run/charon.vici ] && break; sleep 0.1; done
        swanctl --load-all >/var/log/swanctl.log 2>&1 || {{ cat /var/log/swanctl.log; exit 9; }}
        swanctl --initiate --ike vpn --child managed --timeout {give_up}
    """


def starter(_give_up):
    """charon by way of ipsec.conf, which says `auto=start`."""
    return """
        ipsec start >/var/log/starter.log 2>&1 </dev/null
        for i in {1..300}; do [ -S /run/charon.ctl ] && break; sleep 0.1; done
        for i in {1..150}; do
            ipsec status managed | grep -q INSTALLED && exit 0
            sleep 0.2
        done
        ipsec statusall; exit 1
    """


# What libreswan's systemd unit does, and its `ipsec` in the place of strongSwan's.
PLUTO = """
    grep -q Libreswan /usr/sbin/ipsec || mount --bind /usr/sbin/ipsec-libreswan /usr/sbin/ipsec
    mkdir -p /run/pluto
    ipsec checknss >/var/log/checknss.log
    ipsec pluto --config /etc/ipsec.conf --stderrlog >/var/log/pluto.out 2>/var/log/pluto.log </dev/null
    ipsec auto --ready >/dev/null && ipsec auto --add managed
"""


def pluto(give_up):
    """libreswan."""
    return f"{PLUTO}\ntimeout {give_up} ipsec auto --up managed"


def network_manager(give_up):
    """NetworkManager, which starts strongSwan, xl2tpd and pppd itself: all the way to an address.
    D-Bus has its user by Debian's maintainer scripts, which nobody ran; a read-only /sys tells
    NetworkManager, as in a container, that there is no udev to wait for."""
    return f"""
        grep -q messagebus /etc/passwd || echo messagebus:x:101:101::/:/bin/false >>/etc/passwd
        grep -q messagebus /etc/group || echo messagebus:x:101: >>/etc/group
        echo 7f4c2a550d1a4a4e9f432c6c2f6f1701 >/etc/machine-id
        mkdir -p /run/dbus /run/NetworkManager
        mount -o remount,bind,ro /sys
        dbus-daemon --system --nopidfile --nosyslog 2>/var/log/dbus.log
        NetworkManager --debug --log-level=INFO >/var/log/NetworkManager.log 2>&1 </dev/null &
        for i in {{1..100}}; do nmcli -t -f STATE general 2>/dev/null | grep -q '^connected' && break; sleep 0.2; done
        # NetworkManager gives its plugin ten seconds, of which strongSwan's restart sleeps two: an emulated
        # machine beside others does not always make that. The plugin has to end first.
        for try in {{1..5}}; do
            nmcli --wait {give_up} connection up vpn && exit 0
            for i in {{1..100}}; do pgrep -x 'starter|xl2tpd' --ns $$ --nslist net >/dev/null || break; sleep 0.2; done
            sleep 2
        done
        exit 1
    """


# By flavour, which is a folder in ../clients.
START = {"chromeos": swanctl, "chromeos-2018": starter, "libreswan": pluto,
         "network-manager": network_manager}

# The end of L2TP; with NetworkManager of everything.
HANG_UP = """
    [ -S /run/dbus/system_bus_socket ] && nmcli --wait 10 connection down vpn >/dev/null
    [ -p /run/xl2tpd/l2tp-control ] && timeout 5 xl2tpd-control disconnect-lac managed >/dev/null
    for i in {1..25}; do pgrep -x pppd --ns $$ --nslist net >/dev/null || break; sleep 0.2; done
    pkill -TERM -x xl2tpd --ns $$ --nslist net
"""

# The end of IPsec, with its Deletes.
LEAVE = """
    if [ -S /run/charon.vici ]; then swanctl --terminate --ike vpn --timeout 5 >/dev/null 2>&1; fi
    [ -e /run/starter.charon.pid ] && ipsec stop >/dev/null 2>&1
    pkill -TERM -x charon --ns $$ --nslist net
    [ -S /run/pluto/pluto.ctl ] && timeout 5 ipsec whack --shutdown >/dev/null
    for i in {1..25}; do pgrep -x 'charon|pluto' --ns $$ --nslist net >/dev/null || break; sleep 0.2; done
"""

# Without a word; the kernel forgets their SAs.
VANISH = """
    for program in NetworkManager nm-l2tp-service dbus-daemon starter charon pluto; do pkill -KILL -x $program --ns $$ --nslist net; done
    ip xfrm state flush; ip xfrm policy flush
    rm -rf /run/charon.* /run/starter.* /run/pluto /run/dbus /run/NetworkManager /run/nm-*
    umount /usr/sbin/ipsec 2>/dev/null
"""
