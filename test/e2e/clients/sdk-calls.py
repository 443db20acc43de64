"""Runs each call of openstacksdk's load balancer proxy against the cloud of the environment.

Prints one JSON object: `seen`, what each step got, by name, and `never`, the calls of the proxy that were not made.
"""

import inspect
import json
import sys
import time

import openstack
from openstack.load_balancer.v2 import _proxy

SECRET, SUBNET, PROJECT = sys.argv[1:]

conn = openstack.connect()
proxy = conn.load_balancer
seen = {}
called = set()


def call(name, /, *args, **attributes):
    called.add(name)
    answer = getattr(proxy, name)(*args, **attributes)
    return list(answer) if inspect.isgenerator(answer) else answer


def keep(step, got):
    def plain(value):
        return value.to_dict() if hasattr(value, "to_dict") else value

    seen[step] = [plain(value) for value in got] if isinstance(got, list) else plain(got)
    return got


def settled():
    return call("wait_for_load_balancer", balancer.id, interval=0.2, wait=120)


def refused(name, /, *args, **attributes):
    """How the SDK names the refusal, if it is one."""
    try:
        call(name, *args, **attributes)
    except openstack.exceptions.ResourceNotFound:
        return "ResourceNotFound"  # for younger releases another name of NotFoundException
    except openstack.exceptions.HttpException as error:
        return type(error).__name__
    return None


# Flavors and availability zones
profile = keep(
    "flavor profile created",
    call("create_flavor_profile", name="sdk-profile", provider_name="amphora", flavor_data='{"compute_flavor": "1"}'),
)
keep("flavor profile got", call("get_flavor_profile", profile.id))
keep("flavor profile found", call("find_flavor_profile", "sdk-profile"))
keep("flavor profiles", call("flavor_profiles", name="sdk-profile"))
keep("flavor profile updated", call("update_flavor_profile", profile.id, name="sdk-profile-2"))
flavor = keep(
    "flavor created", call("create_flavor", name="sdk", flavor_profile_id=profile.id, description="d", is_enabled=True)
)
keep("flavor got", call("get_flavor", flavor.id))
keep("flavor found", call("find_flavor", "sdk"))
keep("flavors", call("flavors", is_enabled=True, name="sdk"))
keep("flavor updated", call("update_flavor", flavor.id, description="changed"))
zone_profile = keep(
    "zone profile created",
    call(
        "create_availability_zone_profile",
        name="sdk-zones",
        provider_name="amphora",
        availability_zone_data='{"compute_zone": "nova"}',
    ),
)
keep("zone profile got", call("get_availability_zone_profile", zone_profile.id))
keep("zone profile found", call("find_availability_zone_profile", "sdk-zones"))
keep("zone profiles", call("availability_zone_profiles", name="sdk-zones"))
keep("zone profile updated", call("update_availability_zone_profile", zone_profile.id, name="sdk-zones-2"))
keep(
    "zone created",
    call("create_availability_zone", name="sdk-zone", availability_zone_profile_id=zone_profile.id, is_enabled=True),
)
keep("zone got", call("get_availability_zone", "sdk-zone"))
keep("zone found", call("find_availability_zone", "sdk-zone"))
keep("zones", call("availability_zones", name="sdk-zone"))
keep("zone updated", call("update_availability_zone", "sdk-zone", description="near"))
keep("providers", call("providers"))
keep("flavor capabilities", call("provider_flavor_capabilities", "amphora"))

# Load balancer
balancer = keep(
    "load balancer created",
    call(
        "create_load_balancer",
        name="sdk-lb",
        description="by the SDK",
        vip_subnet_id=SUBNET,
        flavor_id=flavor.id,
        availability_zone="sdk-zone",
        is_admin_state_up=True,
        tags=["sdk", "blue"],
    ),
)
keep("load balancer ready", settled())
keep("load balancer got", call("get_load_balancer", balancer.id))
keep("load balancer found by name", call("find_load_balancer", "sdk-lb"))
keep("load balancer found by id", call("find_load_balancer", balancer.id))
keep("load balancers by tags", call("load_balancers", tags="sdk,blue"))
keep("load balancers by name and state", call("load_balancers", name="sdk-lb", is_admin_state_up=True))
keep("load balancers by another name", call("load_balancers", name="nobody"))
keep("load balancers a page of one each", call("load_balancers", limit=1))
keep("load balancer updated", call("update_load_balancer", balancer.id, description="changed", tags=["sdk"]))
settled()

# Listener
listener = keep(
    "listener created",
    call(
        "create_listener",
        name="sdk-listener",
        load_balancer_id=balancer.id,
        protocol="TERMINATED_HTTPS",
        protocol_port=443,
        default_tls_container_ref=SECRET,
        connection_limit=100,
        allowed_cidrs=["0.0.0.0/0"],
        insert_headers={"X-Forwarded-For": "true"},
        tls_versions=["TLSv1.2"],
        alpn_protocols=["http/1.1"],
        timeout_client_data=1000,
        tags=["l"],
    ),
)
settled()
keep("listener got", call("get_listener", listener.id))
keep("listener found", call("find_listener", "sdk-listener"))
keep("listeners", call("listeners", protocol_port=443, tags="l"))
keep("listeners by load balancer", refused("listeners", load_balancer_id=balancer.id))
keep("listener updated", call("update_listener", listener.id, connection_limit=200, allowed_cidrs=None))
settled()

# Pool, members, health monitor
pool = keep(
    "pool created",
    call(
        "create_pool",
        name="sdk-pool",
        listener_id=listener.id,
        protocol="HTTP",
        lb_algorithm="ROUND_ROBIN",
        session_persistence={"type": "HTTP_COOKIE"},
        tags=["p"],
    ),
)
settled()
keep("pool got", call("get_pool", pool.id))
keep("pool found", call("find_pool", "sdk-pool"))
keep("pools", call("pools", loadbalancer_id=balancer.id, lb_algorithm="ROUND_ROBIN"))
keep("pool updated", call("update_pool", pool.id, lb_algorithm="LEAST_CONNECTIONS", session_persistence=None))
settled()
member = keep(
    "member created",
    call(
        "create_member", pool, name="sdk-member", address="192.0.2.7", protocol_port=80, weight=3, backup=False, tags=["m"]
    ),
)
settled()
keep("member got", call("get_member", member.id, pool))
keep("member found", call("find_member", "sdk-member", pool))
keep("members", call("members", pool, address="192.0.2.7", weight=3))
keep("member updated", call("update_member", member.id, pool, weight=0, monitor_port=81))
settled()
monitor = keep(
    "health monitor created",
    call(
        "create_health_monitor",
        name="sdk-monitor",
        pool_id=pool.id,
        type="HTTP",
        delay=9,
        timeout=5,
        max_retries=2,
        url_path="/health",
        tags=["h"],
    ),
)
settled()
keep("health monitor got", call("get_health_monitor", monitor.id))
keep("health monitor found", call("find_health_monitor", "sdk-monitor"))
keep("health monitors", call("health_monitors", type="HTTP", name="sdk-monitor"))
keep("health monitor updated", call("update_health_monitor", monitor.id, expected_codes="200,204", http_method="HEAD"))
settled()

# L7
policy = keep(
    "policy created",
    call(
        "create_l7_policy",
        name="sdk-policy",
        listener_id=listener.id,
        action="REDIRECT_TO_URL",
        redirect_url="https://example.org/",
        position=1,
        tags=["y"],
    ),
)
settled()
keep("policy got", call("get_l7_policy", policy.id))
keep("policy found", call("find_l7_policy", "sdk-policy"))
keep("policies", call("l7_policies", listener_id=listener.id, action="REDIRECT_TO_URL"))
keep("policy updated", call("update_l7_policy", policy.id, action="REDIRECT_TO_POOL", redirect_pool_id=pool.id))
settled()
rule = keep(
    "rule created",
    call("create_l7_rule", policy, type="PATH", compare_type="STARTS_WITH", rule_value="/sdk", tags=["r"]),
)
settled()
keep("rule got", call("get_l7_rule", rule.id, policy))
keep("rule found", call("find_l7_rule", rule.id, policy))
keep("rules", call("l7_rules", policy, type="PATH"))
keep("rule updated", call("update_l7_rule", rule.id, policy, rule_value="/other", invert=True))
settled()

# Statistics, amphorae
keep("load balancer whole", call("get_load_balancer", balancer.id))
keep("load balancer statistics", call("get_load_balancer_statistics", balancer.id))
keep("listener statistics", call("get_listener_statistics", listener.id))
amphorae = keep("amphorae", call("amphorae", loadbalancer_id=balancer.id, status="ALLOCATED"))
amphora = keep("amphora got", call("get_amphora", amphorae[0].id))
keep("amphora found", call("find_amphora", amphora.id))
call("configure_amphora", amphora.id)
call("failover_amphora", amphora.id)
settled()
keep("amphorae after one failed over", call("amphorae", loadbalancer_id=balancer.id, status="ALLOCATED"))
call("failover_load_balancer", balancer.id)
settled()
keep("amphorae after all failed over", call("amphorae", loadbalancer_id=balancer.id, status="ALLOCATED"))

# Quotas
keep("quota default", call("get_quota_default"))
keep("quota updated", call("update_quota", PROJECT, load_balancers=5, listeners=-1))
keep("quota got", call("get_quota", PROJECT))
keep("quotas", call("quotas"))
call("delete_quota", PROJECT)
keep("quota after delete", call("get_quota", PROJECT))

# Away with it
for name, args in (
    ("delete_l7_rule", (rule.id, policy)),
    ("delete_l7_policy", (policy.id,)),
    ("delete_health_monitor", (monitor.id,)),
    ("delete_member", (member.id, pool)),
    ("delete_pool", (pool.id,)),
    ("delete_listener", (listener.id,)),
):
    call(name, *args)
    settled()
keep(
    "gone",
    {
        "rule": refused("get_l7_rule", rule.id, policy),
        "policy": refused("get_l7_policy", policy.id),
        "monitor": refused("get_health_monitor", monitor.id),
        "member": refused("get_member", member.id, pool),
        "pool": refused("get_pool", pool.id),
        "listener": refused("get_listener", listener.id),
    },
)
keep("deleted twice", call("delete_listener", listener.id))
keep("deleted twice, strictly", refused("delete_listener", listener.id, False))
call("create_listener", load_balancer_id=balancer.id, protocol="TCP", protocol_port=25)
settled()
keep("delete of what is not empty", refused("delete_load_balancer", balancer.id))
if hasattr(proxy, "wait_for_status"):  # younger releases have both
    call("wait_for_status", balancer, "ACTIVE", attribute="provisioning_status", interval=0.2, wait=120)
call("delete_load_balancer", balancer.id, cascade=True)
if hasattr(proxy, "wait_for_delete"):
    call("wait_for_delete", balancer, interval=0.2, wait=120)
for _ in range(600):
    if call("find_load_balancer", "sdk-lb") is None:
        break
    time.sleep(0.2)
keep("load balancer after delete", call("find_load_balancer", "sdk-lb"))
call("delete_availability_zone", "sdk-zone")
call("delete_availability_zone_profile", zone_profile.id)
call("delete_flavor", flavor.id)
call("delete_flavor_profile", profile.id)
keep("flavor after delete", call("find_flavor", "sdk"))

own = {name for name, value in vars(_proxy.Proxy).items() if inspect.isfunction(value) and not name.startswith("_")}
print(json.dumps({"seen": seen, "never": sorted(own - called)}))
