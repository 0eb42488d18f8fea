"""A phone by Eclipse Paho, for phones.ts: takes ["subscribe", topic] and ["publish", topic, message]
as lines of JSON on stdin, answers each with a line on stdout, and prints what it receives."""

import json
import os
import sys
import threading

import paho.mqtt.client as paho

host, port, cafile, client_id, version = sys.argv[1:]
protocol = paho.MQTTv5 if version == "5.0" else paho.MQTTv311
try:  # Paho 2 wants to be told how callbacks look.
    client = paho.Client(paho.CallbackAPIVersion.VERSION1, client_id, protocol=protocol)
except AttributeError:
    client = paho.Client(client_id, protocol=protocol)
client.username_pw_set("JWT", os.environ["TOKEN"])
client.tls_set(cafile)

subscribed = threading.Event()
granted = []


def say(line):
    print(line, flush=True)


def on_connect(client, userdata, flags, reason, properties=None):
    say("connected" if reason == 0 else f"refused: {reason}")


def on_subscribe(client, userdata, mid, codes, properties=None):
    granted[:] = [getattr(code, "value", code) for code in codes]
    subscribed.set()


client.on_connect = on_connect
client.on_subscribe = on_subscribe
client.on_message = lambda client, userdata, message: say(
    f"message: {message.topic} {message.payload.decode()}"
)
client.connect(host, int(port))
client.loop_start()

for line in sys.stdin:
    verb, topic, *rest = json.loads(line)
    if verb == "subscribe":
        subscribed.clear()
        client.subscribe(topic, qos=1)
        subscribed.wait()
        say("done" if granted[0] < 128 else f"subscription to {topic} refused")
    else:
        client.publish(topic, rest[0], qos=1).wait_for_publish()
        say("done")
